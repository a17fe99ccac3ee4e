// SPDX-License-Identifier: MIT
// An operand has another number of axes.
// expect: rwkv7: this operand has another element type or number of axes than the operation wants
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
constexpr int axes = 3;
#else
constexpr int axes = 4;
#endif

void call(const rwkv7::view<float, 3>& x, const rwkv7::view<float, axes>& g) {
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = x, .g = g}, x);
}
