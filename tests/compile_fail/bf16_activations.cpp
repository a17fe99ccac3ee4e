// SPDX-License-Identifier: MIT
// Activations in a type that only stores parameters.
// expect: rwkv7: activations are float or double; only parameters may be bf16 or f16
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/layer_norm.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using element = float;
#else
using element = rwkv7::bf16;
#endif

void call(const rwkv7::view<element, 3>& x, const rwkv7::view<rwkv7::bf16, 1>& w) {
  rwkv7::layer_norm(rwkv7::reference_executor{}, rwkv7::layer_norm_inputs<element>{.x = x, .weight = w, .bias = w}, x);
}
