// SPDX-License-Identifier: MIT
// The output is a view of const elements.
// expect: or is const where it is written
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using element = float;
#else
using element = const float;
#endif

void call(const rwkv7::view<float, 3>& x, const rwkv7::view<element, 3>& y) {
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = x, .g = x}, y);
}
