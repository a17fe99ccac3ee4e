// SPDX-License-Identifier: MIT
/// Distances between what was computed and what was wanted. NaN anywhere makes a distance NaN, so CHECK(d <= budget)
/// fails on it.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace rwkv7_test {

inline constexpr double not_comparable = std::numeric_limits<double>::quiet_NaN();

/// ‖got - want‖ / ‖want‖, or ‖got‖ where want is zero.
template <class A, class B>
double relative_l2(const std::vector<A>& got, const std::vector<B>& want) {
  if (got.size() != want.size()) return not_comparable;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double w = static_cast<double>(want[i]), d = static_cast<double>(got[i]) - w;
    difference += d * d;
    norm += w * w;
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

namespace inner {
template <class A, class B, class F>
double largest(const std::vector<A>& got, const std::vector<B>& want, F distance) {
  if (got.size() != want.size()) return not_comparable;
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double d = distance(static_cast<double>(got[i]), static_cast<double>(want[i]), i);
    if (!(d <= worst)) worst = d;
    if (std::isnan(worst)) return worst;
  }
  return worst;
}
}  // namespace inner

template <class A, class B>
double max_abs(const std::vector<A>& got, const std::vector<B>& want) {
  return inner::largest(got, want, [](double g, double w, std::size_t) { return std::fabs(g - w); });
}

/// The distance between a float and its neighbour away from zero, at the magnitude of x.
inline double float_ulp(double x) {
  const int exponent = x == 0 ? -126 : std::max(std::ilogb(x), -126);
  return std::ldexp(1.0, exponent - 23);
}

/// Largest |got - want| in ulps of want as a float.
template <class A, class B>
double max_ulps(const std::vector<A>& got, const std::vector<B>& want) {
  return inner::largest(got, want, [](double g, double w, std::size_t) {
    if (std::isinf(w) || std::isinf(g)) return g == w ? 0.0 : not_comparable;
    return std::fabs(g - w) / float_ulp(w);
  });
}

/// Largest |got - want| in ulps of `magnitude`: for sums, whose result may be much smaller than what was added.
template <class A, class B, class C>
double max_ulps_of(const std::vector<A>& got, const std::vector<B>& want, const std::vector<C>& magnitude) {
  if (magnitude.size() != want.size()) return not_comparable;
  return inner::largest(got, want, [&](double g, double w, std::size_t i) {
    return std::fabs(g - w) / float_ulp(static_cast<double>(magnitude[i]));
  });
}

template <class T>
auto bits_of(T x) noexcept {
  using wide = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<std::conditional_t<sizeof(T) == 2, std::uint16_t, wide>>(x);
}

/// Equal to the last bit, NaN included.
template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](T a, T b) { return bits_of(a) == bits_of(b); });
}

}  // namespace rwkv7_test
