// SPDX-License-Identifier: MIT
// Operands in double on an executor whose kernels compute in float.
// expect: rwkv7: this executor has no kernel of this operation for this element type. CPU executors compute in float
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/gate.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using executor = rwkv7::reference_executor;
#else
using executor = rwkv7::inline_executor;
#endif

void call(const rwkv7::view<double, 3>& x) { rwkv7::gate(executor{}, rwkv7::gate_inputs<double>{.x = x, .g = x}, x); }
