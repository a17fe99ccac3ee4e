// SPDX-License-Identifier: MIT
// Activations in a type that nothing computes with.
// expect: rwkv7: activations are float, double, bf16 or f16
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/layer_norm.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using element = rwkv7::bf16;
#else
using element = long double;
#endif

void call(const rwkv7::view<element, 3>& x, const rwkv7::view<rwkv7::bf16, 1>& w) {
  rwkv7::layer_norm(rwkv7::reference_executor{}, rwkv7::layer_norm_inputs<element>{.x = x, .weight = w, .bias = w}, x);
}
