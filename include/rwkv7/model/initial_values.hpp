// SPDX-License-Identifier: MIT
/// What the time-mix of a linearised Transformer is made of before it is trained: ranks of its low-rank maps, vectors,
/// factors. Formulas and constants are those of OpenMOSE's RWKVInside; commits below are of that repository.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <vector>

#include "rwkv7/variant/dims.hpp"

namespace rwkv7 {

/// What a Transformer becomes. hxa079 is cxa079 in some layers; the others stay attention.
enum class linearised : unsigned char {
  all_076,    // cxa076, or cxa076r where the teacher norms queries and keys
  all_079,    // cxa079
  hybrid_079  // hxa079: some layers stay attention
};

/// Ranks and multipliers of cxa079 and hxa079 have changed; cxa076 has the first only. Which commit made which
/// published model is not known.
enum class recipe : unsigned char {
  original,  // cxa076: d144b11, with norms 56cc141; cxa079: 4937155 to ae22207, the time of the published models
  latest     // cxa079: d03af49, at least 256 for w and g
};

/// Ranks of the low-rank maps of one layer.
struct time_mix_ranks {
  index_t w, a, v, k, g;  // k is 0 where there is none
};

/// Ranks for a time-mix of width D, each max(m, 32 round(c D^p / 32)), halves rounded to even.
inline time_mix_ranks initial_ranks(linearised target, recipe which, index_t D) noexcept {
  const auto rank = [D](double c, double p, index_t m) {
    const double steps = std::nearbyint(c * std::pow(static_cast<double>(D), p) / 32);
    return std::max(m, 32 * static_cast<index_t>(steps));
  };
  const index_t a = rank(1.8, 0.5, 32), v = rank(1.3, 0.5, 32);
  if (target == linearised::all_076) return {.w = a, .a = a, .v = v, .k = 0, .g = rank(0.6, 0.8, 32)};
  const index_t m = which == recipe::latest ? 256 : 32;
  return {.w = rank(1.7, 0.6, m), .a = a, .v = v, .k = v, .g = rank(0.35, 0.8, m)};
}

/// The vectors of one layer.
struct time_mix_vectors {
  std::vector<float> w0, a0;  // [D]
  std::vector<float> v0, k0;  // [D] in cxa076, [D_kv] in cxa079; no k0 in cxa076
  std::vector<float> r_k;     // [H, N]
};

/// The vectors of layer l of L, with ρ = l / (L - 1) (0 where L = 1), x = n / (D - 1) for channel n, and
/// ζ = z |z| of z = (n mod N - (N - 1) / 2) / ((N - 1) / 2):
///
///   cxa076   w0 = -6.5 + 5 x^(0.85 + √ρ)                  a0 = 0                                  v0 = 1      r_k = 0
///   cxa079   w0 = -5.5 + 6 x^(1 + ρ^0.3) + 2.5 ζ          a0 = -0.19 + 0.3 ζ + 0.4 (x - 0.5)      v0 = k0 = 0.73
///            r_k = -0.04
///
/// v0 and k0 of cxa079 are meant to fall along the channels, but never did in training. Computed in double, rounded
/// once. N is 2 or more.
inline time_mix_vectors initial_vectors(linearised target, const dims& d, index_t layer, index_t layers) {
  const auto D = static_cast<std::size_t>(d.D()), D_kv = static_cast<std::size_t>(d.D_kv());
  const bool plain = target == linearised::all_076;
  const double depth = layers > 1 ? static_cast<double>(layer) / static_cast<double>(layers - 1) : 0;
  const double middle = static_cast<double>(d.N - 1) / 2;
  time_mix_vectors result{.w0 = std::vector<float>(D),
                          .a0 = std::vector<float>(D),
                          .v0 = plain ? std::vector<float>(D, 1.0f) : std::vector<float>(D_kv, 0.73f),
                          .k0 = plain ? std::vector<float>() : std::vector<float>(D_kv, 0.73f),
                          .r_k = std::vector<float>(D, plain ? 0.0f : -0.04f)};
  for (std::size_t n = 0; n < D; ++n) {
    const double x = static_cast<double>(n) / static_cast<double>(D - 1);
    const double z = (static_cast<double>(static_cast<index_t>(n) % d.N) - middle) / middle, zigzag = z * std::abs(z);
    const double w0 = plain ? -6.5 + 5 * std::pow(x, 0.85 + std::sqrt(depth))
                            : -5.5 + 6 * std::pow(x, 1 + std::pow(depth, 0.3)) + 2.5 * zigzag;
    result.w0[n] = static_cast<float>(w0);
    result.a0[n] = plain ? 0 : static_cast<float>(-0.19 + 0.3 * zigzag + 0.4 * (x - 0.5));
  }
  return result;
}

/// Normal numbers that depend on a seed, a name and their place, and on nothing else:
///
///   z(2j) = √(-2 ln u(2j)) cos(2π u(2j + 1))        z(2j + 1) = √(-2 ln u(2j)) sin(2π u(2j + 1))
///   u(i) = ((mix(s + (i + 1) γ) >> 12) + 1/2) 2^-52    s = fnv1a64(name) ^ mix(seed + γ)    γ = 0x9e3779b97f4a7c15
///   mix(z): z = (z ^ z>>30) 0xbf58476d1ce4e5b9; z = (z ^ z>>27) 0x94d049bb133111eb; z ^ z>>31
///
/// γ and mix are those of SplitMix64 (Steele, Lea, Flood 2014). Not <random>'s, whose distributions every standard
/// library computes in its own way.
class normal_stream {
 public:
  /// The stream of this seed and this name.
  normal_stream(std::uint64_t seed, std::string_view name) noexcept {
    for (const char c : name) start_ = (start_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    start_ ^= mix(seed + step);
  }
  /// The number at place i.
  double operator()(std::uint64_t i) const noexcept {
    const double radius = std::sqrt(-2 * std::log(uniform(i & ~std::uint64_t{1})));
    const double angle = 2 * std::numbers::pi * uniform(i | 1);
    return radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }

 private:
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15u;

  static constexpr std::uint64_t mix(std::uint64_t z) noexcept {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In (0, 1).
  double uniform(std::uint64_t i) const noexcept {
    return (static_cast<double>(mix(start_ + (i + 1) * step) >> 12) + 0.5) * 0x1p-52;
  }

  std::uint64_t start_ = 0xcbf29ce484222325u;
};

namespace detail {

/// Eight sums side by side, so that it is fast and always the same.
inline double dot_of(const double* x, const double* y, std::size_t count) noexcept {
  double sums[8] = {};
  for (std::size_t n = 0; n < count / 8 * 8; n += 8)
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += x[n + lane] * y[n + lane];
  for (std::size_t n = count / 8 * 8; n < count; ++n) sums[n % 8] += x[n] * y[n];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/// Makes `count` vectors of this length orthonormal, each by what is left of it beside those before it (modified
/// Gram-Schmidt): what a QR decomposition gives whose R has a positive diagonal. No library's decomposition, because
/// these sum in an order that depends on the sizes of the processor's caches.
inline void orthonormalise(double* vectors, std::size_t count, std::size_t length) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    double* const x = vectors + i * length;
    double before = 0, after = dot_of(x, x, length);
    // A second time where more than half of it was lost, and with it digits; more than twice is never needed.
    for (int pass = 0; pass < 2 && (pass == 0 || after < before / 4); ++pass) {
      before = after;
      for (std::size_t j = 0; j < i; ++j) {
        const double* const unit = vectors + j * length;
        const double along = dot_of(unit, x, length);
        for (std::size_t n = 0; n < length; ++n) x[n] -= along * unit[n];
      }
      after = dot_of(x, x, length);
    }
    const double scale = 1 / std::sqrt(after);
    for (std::size_t n = 0; n < length; ++n) x[n] *= scale;
  }
}

}  // namespace detail

/// The second factor [rows, columns] of a low-rank map: orthogonal with gain γ = 0.1 max(1, √(rows / columns)), that is
/// X Xᵀ = γ² I where rows ≤ columns, else XᵀX = γ² I. The first factor is all zeros.
///
///   name   of the parameter: parameters of other names are independent
///
/// Cost: rows columns min(rows, columns) multiplications and additions; 384 x 6144 takes 0.8 s on one core of a Zen 5,
/// for plain x86-64 at -O2. Memory for the matrix in double. The bits do not depend on the machine but for what its
/// logarithm and cosine, or a compiler that fuses products and sums, change.
inline std::vector<float> initial_factor(index_t rows, index_t columns, std::uint64_t seed, std::string_view name) {
  const bool wide = rows <= columns;
  const auto count = static_cast<std::size_t>(std::min(rows, columns));
  const auto length = static_cast<std::size_t>(std::max(rows, columns));
  const normal_stream normal(seed, name);
  std::vector<double> vectors(count * length);
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] = normal(i);
  detail::orthonormalise(vectors.data(), count, length);
  const double gain = 0.1 * std::max(1.0, std::sqrt(static_cast<double>(rows) / static_cast<double>(columns)));
  std::vector<float> result(vectors.size());
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t n = 0; n < length; ++n)
      result[wide ? i * length + n : n * count + i] = static_cast<float>(gain * vectors[i * length + n]);
  return result;
}

}  // namespace rwkv7
