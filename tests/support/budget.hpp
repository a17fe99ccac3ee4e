// SPDX-License-Identifier: MIT
/// What error is allowed, by the kind of computation. Tests name a kind; the numbers are here and nowhere else.
#pragma once

#include <cmath>
#include <cstdint>

#include "rwkv7/core/dtype.hpp"

namespace rwkv7_test::budget {

/// Half the distance between 1 and the next float: what one rounding may cost.
inline constexpr double unit_roundoff = 0x1p-24;

/// What a value may lose by being stored in T: half the distance between 1 and the next one, and what float did to it.
template <rwkv7::half_element T>
inline constexpr double stored = (rwkv7::dtype_of<T> == rwkv7::dtype::bf16 ? 0x1p-8 : 0x1p-11) * 1.001;

/// A cpu executor in double against the reference executor, which sums in another order. Relative L2.
inline constexpr double in_double = 1e-13;

/// The reference executor in double against NumPy or a formula in long double. Relative L2.
inline constexpr double definition = 1e-12;
/// Likewise for whole models: sums of the last digits through all layers.
inline constexpr double definition_of_model = 1e-10;

/// The reference executor on float operands computes in double and rounds once. In ulps, with room for the double.
inline constexpr double rounded_once = 0.5 + 1e-6;

/// One value from a few others, without cancellation, tanh and sigmoid included: in ulps.
inline constexpr double elementwise = 2;

/// A few values of which each is summed over n others, in float. Relative L2; roundings that do not know of each other
/// grow like the root of their number.
inline double reduction(std::int64_t n) { return (2 + std::sqrt(static_cast<double>(n))) * unit_roundoff; }

/// A product whose inputs were rounded to integers of 15 bits under the largest of 32. Relative L2: a step of that /
/// 16256 is off by its 12th root on average, and the largest of 32 is at most five times their mean.
inline constexpr double rounded_inputs = 1e-4;

/// What a format makes of a weight: distance by the largest magnitude under the same scale.
inline double of_largest(rwkv7::dtype type) {
  return type == rwkv7::dtype::nf4 ? 0.35 : type == rwkv7::dtype::int4 ? 0.25 : 0.5 / 119;
}
/// Of many normal weights. Relative L2.
inline double of_normal_weights(rwkv7::dtype type) {
  switch (type) {
    case rwkv7::dtype::int8:
      return 0.0052;
    case rwkv7::dtype::int8_rows:
      return 0.0075;
    case rwkv7::dtype::int4:
      return 0.087;
    default:
      return 0.09;
  }
}

/// A whole model of random parameters in float. Relative L2. Two to three layers; NumPy in float reaches 1.1e-6.
inline constexpr double model = 2e-6;
/// Likewise with activations in T, against NumPy in float64: some forty values on a token's way through two or three
/// layers are rounded. The reference executor, in double between the roundings, is as far away. Relative L2.
template <rwkv7::half_element T>
inline constexpr double model_in = 8 * stored<T>;
/// A whole model in double on a cpu against the reference executor. Relative L2.
inline constexpr double model_in_double = 1e-12;

/// A model with quantised matrices in float: inputs rounded in every product, as rounded_inputs. Relative L2 of logits.
inline constexpr double quantised_model = 3e-4;
/// The published checkpoint of 12 layers in float: max abs of the logits after its prompt of 3 tokens (the published
/// ones are float too: NumPy in float64 is 3.7e-7 from them), max abs of all logits of 64 tokens, relative L2 of the
/// states.
inline constexpr double published_last_logits = 1.5e-6;
inline constexpr double published_all_logits = 3e-6;
inline constexpr double published_states = 3e-6;

/// The state recurrence in float, over T tokens: 5e-7 for each thousand, the first one whole. Relative L2. Five times
/// that for a head of one channel: all of its state lies along the key, each token removes nearly all of it, and what
/// is left is small beside the roundings of what was removed.
inline double recurrence(std::int64_t T, std::int64_t N) {
  return 5e-7 * std::fmax(1.0, static_cast<double>(T) / 1000) * (N == 1 ? 5 : 1);
}

/// One computation cut into calls at other places, where the results are not promised to be equal. Relative L2.
inline constexpr double split = 1e-6;
/// Likewise where inputs are rounded to integers: one on the edge between two may fall to either.
inline constexpr double quantised_split = 2e-4;

/// The same kernels under other compiler flags, which fuse other products and sums. Relative L2.
inline constexpr double other_flags = 1e-6;

/// A planted mistake must show this many times as large as what is allowed.
inline constexpr double planted_fault = 100;

}  // namespace rwkv7_test::budget
