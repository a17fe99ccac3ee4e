// SPDX-License-Identifier: MIT
// A vector of parameters where a matrix is wanted.
// expect: with as many axes as the operation wants of this one
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/linear.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
constexpr int axes = 2;
#else
constexpr int axes = 1;
#endif

void call(const rwkv7::view<float, 3>& x, const rwkv7::view<rwkv7::bf16, axes>& w) {
  rwkv7::linear(rwkv7::inline_executor{}, rwkv7::linear_inputs<float>{.x = x, .weight = w}, x);
}
