// SPDX-License-Identifier: MIT
// Likewise on an executor of SIMD kernels.
// expect: rwkv7: activations are float, double, bf16 or f16
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using element = double;
#else
using element = int;
#endif

void call(const rwkv7::view<element, 3>& x) {
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<element>{.x = x, .g = x}, x);
}
