// SPDX-License-Identifier: MIT
// An operand is left out.
// expect: rwkv7: a required operand was not given; the template argument Name says which
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

void call(const rwkv7::view<float, 3>& x) {
#ifdef RWKV7_COMPILE_FAIL_CONTROL
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = x, .g = x}, x);
#else
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = x}, x);
#endif
}
