// SPDX-License-Identifier: MIT
#include <rwkv7/exec/dispatch.hpp>
#include <rwkv7/timemix.hpp>

#include <vector>

// A user's library: one step of N heads from an empty state, y = v (k · r); the sum of y.
float step(const rwkv7::dispatch_executor<>& exec, rwkv7::index_t N) {
  const std::vector<float> x(static_cast<std::size_t>(N * N), 0.5f), zero(x.size());
  std::vector<float> y(x.size());
  const rwkv7::view<const float, 4> in(x.data(), {1, 1, N, N}), none(zero.data(), {1, 1, N, N});
  rwkv7::wkv7(
      exec, rwkv7::dense{1, 1},
      rwkv7::wkv7_inputs<float>{.r = in, .w = rwkv7::decay<float>::factor(in), .k = in, .v = in, .a = none, .b = none},
      rwkv7::view<float, 4>(y.data(), {1, 1, N, N}));
  float sum = 0;
  for (const float value : y) sum += value;
  return sum;
}
