// SPDX-License-Identifier: MIT
// What both units do: every header that defines something is included, and one op is called on every executor.
#pragma once

#include <rwkv7/adapt/eigen.hpp>
#include <rwkv7/exec/threads.hpp>
#include <rwkv7/timemix.hpp>
#ifdef RWKV7_TEST_MODEL
#include <rwkv7/model.hpp>
#endif

#include <vector>

template <class T>
static T last_output(auto&& exec) {
  using rwkv7::index_t;
  const index_t B = 1, tokens = 3, H = 2, N = 4;
  std::vector<T> x(static_cast<std::size_t>(B * tokens * H * N), T(0.5)), y(x.size());
  const rwkv7::view<const T, 4> in(x.data(), {B, tokens, H, N});
  rwkv7::wkv7(exec, rwkv7::dense{B, tokens},
              rwkv7::wkv7_inputs<T>{.r = in, .w = rwkv7::decay<T>::factor(in), .k = in, .v = in, .a = in, .b = in},
              rwkv7::view<T, 4>(y.data(), {B, tokens, H, N}));
  return y.back();
}

static double call() {
#ifdef RWKV7_TEST_MODEL
  using model = rwkv7::language_model<>;
  model (*volatile open)(const std::filesystem::path&) = &model::open;  // defined here without a file to open
  if (!open) return -1;
#endif
  rwkv7::thread_executor threads(2);
  return double(last_output<float>(rwkv7::inline_executor{})) + double(last_output<float>(threads)) +
         last_output<double>(rwkv7::reference_executor{});
}
