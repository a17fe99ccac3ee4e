// SPDX-License-Identifier: MIT
// A state in double beside operands in float.
// expect: rwkv7: the state of operands in float, bf16 or f16 is in float, bf16 or f16; that of operands in double is in
// double
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/wkv7.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using element = rwkv7::bf16;
#else
using element = double;
#endif

void call(const rwkv7::view<float, 4>& x, const rwkv7::view<element, 4>& S) {
  rwkv7::wkv7(rwkv7::reference_executor{}, rwkv7::dense{1, 1},
              rwkv7::wkv7_inputs<float>{.r = x, .w = rwkv7::decay<float>::factor(x), .k = x, .v = x, .a = x, .b = x}, x,
              rwkv7::state<element>::in_place(S));
}
