// SPDX-License-Identifier: MIT
/// What a format of quantised weights is, and what its scales have in common.
#pragma once

#include <cmath>
#include <concepts>

#include "rwkv7/core/quantised.hpp"

namespace rwkv7::quant {

/// A format: the scale of n neighbours, and the code of a number under a scale. Both are deterministic and the same on
/// every machine; the storage is that of core/quantised.hpp.
template <class F>
concept quant_format = requires(const float* x, index_t n, float value, float scale) {
  { F::type } -> std::convertible_to<dtype>;
  { F::scale(x, n) } -> std::same_as<float>;
  { F::code(value, scale) } -> std::same_as<unsigned>;
};

/// The nearest of low … high to x / scale, ties to even; 0 where the scale is 0. `zero` is the code of 0.
inline unsigned nearest_code(float x, float scale, float low, float high, int zero) noexcept {
  if (scale == 0) return static_cast<unsigned>(zero);
  const float q = std::nearbyint(x / scale);
  return static_cast<unsigned>(static_cast<int>(q < low ? low : q > high ? high : q) + zero);
}

/// The largest magnitude.
inline float largest(const float* x, index_t n) noexcept {
  float most = 0;
  for (index_t i = 0; i < n; ++i) most = std::fabs(x[i]) > most ? std::fabs(x[i]) : most;
  return most;
}

/// Chooses among scales the one with the least squared error. Each candidate is first rounded to bf16, as it will be
/// stored, and improved once: for the codes it gives, the best scale is Σ x q / Σ q².
template <class Format>
class scale_search {
 public:
  /// For n neighbours at x.
  scale_search(const float* x, index_t n) noexcept : x_(x), n_(n) {}

  /// Judges a scale, and the one it is improved to.
  void consider(float candidate) noexcept {
    const float better = judge(bf16::from_float(candidate).to_float());
    if (better != 0) judge(bf16::from_float(better).to_float());
  }
  /// 0 where nothing was considered, or nothing was better than zeros.
  float best() const noexcept { return best_; }

 private:
  /// Notes the scale where it is the best so far; the best scale for its codes.
  float judge(float scale) noexcept {
    if (scale == 0 || !std::isfinite(scale)) return 0;
    float error = 0, xq = 0, qq = 0;
    for (index_t i = 0; i < n_; ++i) {
      const float q = static_cast<float>(rwkv7::detail::decoded(Format::type, Format::code(x_[i], scale)));
      const float apart = x_[i] / scale - q;  // relative to the scale: no square leaves the range of float
      error += apart * apart, xq += x_[i] / scale * q, qq += q * q;
    }
    if (const double total = static_cast<double>(error) * scale * scale; best_ == 0 || total < least_)
      least_ = total, best_ = scale;
    return qq > 0 ? scale * (xq / qq) : 0;
  }

  const float* x_;
  index_t n_;
  double least_ = 0;
  float best_ = 0;
};

}  // namespace rwkv7::quant
