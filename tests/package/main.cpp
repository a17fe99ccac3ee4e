// SPDX-License-Identifier: MIT
// A user's program: it must build without a warning, in C++20 and C++23, and run.
#include <rwkv7/timemix.hpp>
#include <rwkv7/version.hpp>

#include <cstdio>
#include <cstring>
#include <vector>

int main() {
  char version[32];
  std::snprintf(version, sizeof version, "%d.%d.%d", RWKV7_VERSION_MAJOR, RWKV7_VERSION_MINOR, RWKV7_VERSION_PATCH);
  std::printf("rwkv7 %s\n", version);
#ifdef WANT_VERSION  // what find_package read from the version file
  if (std::strcmp(version, WANT_VERSION) != 0) return 1;
#endif

  // One step from an empty state: y = v (k · r).
  const rwkv7::index_t N = 4;
  const std::vector<float> x(N, 0.5f), zero(N, 0.0f);
  std::vector<float> y(N);
  const rwkv7::view<const float, 4> in(x.data(), {1, 1, 1, N}), none(zero.data(), {1, 1, 1, N});
  rwkv7::wkv7(
      rwkv7::inline_executor{}, rwkv7::dense{1, 1},
      rwkv7::wkv7_inputs<float>{.r = in, .w = rwkv7::decay<float>::factor(in), .k = in, .v = in, .a = none, .b = none},
      rwkv7::view<float, 4>(y.data(), {1, 1, 1, N}));
  std::printf("y = %g\n", static_cast<double>(y[0]));
  return y[0] == 0.5f ? 0 : 1;
}
