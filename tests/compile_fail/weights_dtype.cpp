// SPDX-License-Identifier: MIT
// A parameter in a type no checkpoint has.
// expect: rwkv7: parameters are float, f16 or bf16
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/layer_norm.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using element = float;
#else
using element = double;
#endif

void call(const rwkv7::view<double, 3>& x, const rwkv7::view<element, 1>& w) {
  rwkv7::layer_norm(rwkv7::reference_executor{}, rwkv7::layer_norm_inputs<double>{.x = x, .weight = w, .bias = w}, x);
}
