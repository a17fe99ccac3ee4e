// SPDX-License-Identifier: MIT
// Spans instead of pointers: as_view checks that the memory has as many elements as the extents say, and every
// operation checks its operands before it writes anything. A mistake is an rwkv7::error that names operand, axis, got
// and want.
#include <cstdio>
#include <rwkv7/timemix.hpp>
#include <vector>

using namespace rwkv7;

int main() {
  const index_t B = 2, T = 5, H = 4, N = 16;
  const std::vector<float> x(B * T * H * N, 0.25f), zero(x.size());
  std::vector<float> y(x.size(), -1.0f);
  const auto in = as_view(x, {B, T, H, N}), none = as_view(zero, {B, T, H, N});
  const wkv7_inputs<float> inputs{.r = in, .w = decay<float>::factor(in), .k = in, .v = in, .a = none, .b = none};

  // The memory is too small for the extents.
  try {
    as_view(x, {B, T, H, 64});
  } catch (const error& e) {
    std::printf("%s\n", e.what());
  }
  // An output of another shape.
  try {
    wkv7(inline_executor{}, dense{B, T}, inputs, as_view(y, {B, T, N, H}));
  } catch (const error& e) {
    std::printf("%s\n", e.what());
  }
  // The same check without an exception, for programs that have none. Here the output would overwrite an operand.
  view<float, 4> r_again(const_cast<float*>(x.data()), {B, T, H, N});
  if (const auto problem = validate_wkv7(dense{B, T}, inputs, r_again, {})) std::printf("%s\n", problem.message());
  // A forgotten operand, a decay that does not say its form, a wrong element type: those do not compile.

  bool untouched = true;
  for (const float e : y) untouched &= e == -1;
  std::printf("y is %s\n", untouched ? "untouched" : "damaged");
  return untouched ? 0 : 1;
}
