// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/cpu/rope_table.hpp"
#include "rwkv7/backend/reference/rope_table.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/rope_table.hpp"

namespace rwkv7 {

/// The frequencies of a model without rope scaling, frequency_i = theta^(-2 i / N), for i in [0, N / 2): once per
/// model. Scaled ones (YaRN, Llama 3) are the caller's own.
inline void rope_frequencies(double theta, const view<double, 1>& frequency) noexcept {
  const auto half = static_cast<double>(frequency.extent(0));
  for (index_t i = 0; i < frequency.extent(0); ++i) frequency(i) = std::pow(theta, -static_cast<double>(i) / half);
}

/// What is wrong with a call of rope_table, or nothing.
template <class T>
diagnosis validate_rope_table(const sequences& seq, const rope_table_inputs<T>& in,
                              const std::type_identity_t<rope_table_outputs<T>>& out) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens(), slots = in.position.extent(0), half = in.frequency.extent(0);
  return checker("rope_table")
      .sequence_list(seq, slots, false)
      .operand("position", in.position, {{"slots", slots}})
      .operand("frequency", in.frequency, {{"N / 2", half}})
      .operand("cos", out.cos, {{"B", B}, {"T", tokens}, {"N / 2", half}})
      .operand("sin", out.sin, {{"B", B}, {"T", tokens}, {"N / 2", half}})
      .writable("cos", out.cos)
      .writable("sin", out.sin)
      .disjoint("cos", out.cos, "position", in.position)
      .disjoint("cos", out.cos, "frequency", in.frequency)
      .disjoint("sin", out.sin, "position", in.position)
      .disjoint("sin", out.sin, "frequency", in.frequency)
      .disjoint("sin", out.sin, "cos", out.cos)
      .result();
}

/// The rotations of rope for the tokens of a call: once, for all heads and layers of a model.
///
///   cos_t,i = cos((position + t) frequency_i)          sin_t,i likewise; t counts from the sequence's first token
///
///   position    [slots]  read, not advanced; 64-bit
///   frequency   [N / 2]  read; double, whatever T is
///   cos sin     [B, T, N / 2]  overwritten; float beside activations in float, bf16 and f16, double beside double
///
/// Errors: rwkv7::error before anything is written. Cost: a sine and a cosine of double for each pair of channels and
/// token, 14 ns on a Zen 5. Allocates nothing. Exactness: angles, their reduction and both functions in double: within
/// 1.2e-16 times the angle, and 4e-10 of rope_frequencies' formula at position 1,000,000, before the one rounding to T;
/// an angle depends on nothing but the position, however tokens are cut into calls (D1–D4 bitwise).
template <executor Exec, class T>
void rope_table(Exec&& exec, const sequences& seq, const rope_table_inputs<T>& in,
                const std::type_identity_t<rope_table_outputs<T>>& out) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_rope_table(seq, in, out); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(rope_table_kernel(a...)) { rope_table_kernel(a...); }, exec, seq, in,
                    out);
}

}  // namespace rwkv7
