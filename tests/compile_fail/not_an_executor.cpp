// SPDX-License-Identifier: MIT
// Something that is no executor where one is wanted, typically a thread pool itself.
// expect: executor
// expect: backend_tag
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

struct my_pool {};
#ifdef RWKV7_COMPILE_FAIL_CONTROL
using executor = rwkv7::inline_executor;
#else
using executor = my_pool;
#endif

void call(const rwkv7::view<float, 3>& x) { rwkv7::gate(executor{}, rwkv7::gate_inputs<float>{.x = x, .g = x}, x); }
