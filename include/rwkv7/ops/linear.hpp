// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/linear.hpp"
#include "rwkv7/backend/reference/linear.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/linear.hpp"

namespace rwkv7 {

/// What is wrong with a call of linear, or nothing.
template <class T>
diagnosis validate_linear(const linear_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1);
  checker check("linear");
  check.operand("x", in.x, {{"B", B}, {"T", tokens}, {"in", in.x.extent(2)}})
      .matrix("weight", in.weight, {{"out", in.weight.extent(0)}, {"in", in.x.extent(2)}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"out", in.weight.extent(0)}})
      .writable("y", y)
      .disjoint("y", y, "x", in.x)
      .disjoint("y", y, "weight", in.weight);
  if (in.bias) check.operand("bias", in.bias, {{"out", in.weight.extent(0)}}).disjoint("y", y, "bias", in.bias);
  return check.result();
}

/// A dense layer, the weight as torch stores it.
///
///   y = weight x + bias
///
///   x       [B, T, in]  read
///   weight  [out, in]  read; f32, f16 or bf16, used exactly, or quantised (core/quantised.hpp): then `in` is a
///           multiple of quantised_block. With stride 1 along `out` (weights::by_inputs) few rows at a time do not read
///           the weights of an input that is zero
///   bias    [out]  read, or absent; f32, f16 or bf16
///   y       [B, T, out]  overwritten; must not overlap x
///
/// Errors: rwkv7::error before anything is written. Cost: 2 in · out flops per token. Allocates nothing.
/// Exactness: products and sums in compute_type<T> (cpu) or double (reference), rounded once to T; a sum has the same
/// order whatever B, T and the number of threads are, so one row of many equals the same row alone, bitwise (D1–D4).
/// Weights that lie by inputs have an order of their own, and one that is not finite may count for nothing where its
/// input is zero.
/// With int8, int8_rows and int4 on a cpu, but for T double, x is rounded to integers of 15 bits under the largest of
/// each 32 neighbours (relative L2 4e-5 of y for normal x), the rest is as exact as in float; neighbours that are all
/// below 1e-30 count as zeros, and a row that holds infinity or NaN gives NaN.
template <executor Exec, class T>
void linear(Exec&& exec, const linear_inputs<T>& in, std::type_identity_t<view<T, 3>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_linear(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(linear_kernel(a...)) { linear_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
