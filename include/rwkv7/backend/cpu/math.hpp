// SPDX-License-Identifier: MIT
/// exp, expm1, tanh, sigmoid and softplus on registers of float; on those of double they are the C library's, lane by
/// lane.
///
/// Error in float against double, over all 2^32 floats (tests/backend/math.cpp): exp 1.02 ulp, expm1 1.54 ulp,
/// tanh 1.47 ulp, sigmoid 2.41 ulp, softplus 2.80 ulp; expm1 over those of magnitude 2^-30 to 110. An ulp
/// of a subnormal result is 2^-149. NaN in, NaN out; exp(-inf) = 0, exp(inf) = inf, tanh(±inf) = ±1, sigmoid(∓inf) =
/// 0, 1. Not the library's own exp of xsimd 8.1: it is infinite from 88.7 on, 0 below -87.4, and carries no
/// architecture in its symbols. Polynomials: minimax fits of our own, relative error 3e-9 (exp) and 1e-9 (tanh) before
/// rounding.
#pragma once

#include <math.h>  // the functions of <cmath> for float are inline functions, which would leave weak copies

#include "rwkv7/backend/cpu/simd.hpp"

namespace rwkv7::backend::cpu {

RWKV7_INLINE float square_root(float x) noexcept { return sqrtf(x); }
RWKV7_INLINE double square_root(double x) noexcept { return sqrt(x); }

template <class Arch>
inline constexpr bool computes_in_double = std::is_same_v<scalar<Arch>, double>;

template <class Arch>
RWKV7_INLINE vec<Arch> each_lane(double (*f)(double), const vec<Arch>& x) noexcept {
  scalar<Arch> lane[lanes<Arch>];
  cpu::store<Arch>(lane, x);
  for (index_t i = 0; i < lanes<Arch>; ++i) lane[i] = f(lane[i]);
  return load<Arch>(static_cast<const scalar<Arch>*>(lane));
}

/// exp(x) = 2^n (1 + q), with n in the low bits of `shifted` and |q| < 0.42.
template <class Arch>
struct exp_parts {
  vec<Arch> shifted, n, q;

  RWKV7_INLINE explicit exp_parts(const vec<Arch>& x) noexcept {
    using V = vec<Arch>;
    // Past these ends the result is 0 or infinite; inside them n fits the two-step scaling below.
    const V clamped = xsimd::min(xsimd::max(x, V(-104.0f)), V(89.0f));
    // x = n ln 2 + r. Adding 1.5·2^23 rounds to the nearest integer and leaves it in the low bits.
    const V magic(12582912.0f);
    shifted = cpu::fma<Arch>(clamped, V(1.44269504f), magic);
    pin<Arch>(shifted);  // clang does not tell when it may reassociate, and would drop the rounding
    n = shifted - magic;
    // ln 2 in two parts; n times the first is exact also without fused multiply-add.
    V r = cpu::fma<Arch>(n, V(-0.693359375f), clamped);
    r = cpu::fma<Arch>(n, V(2.12194440e-4f), r);
    V p(1.381461275741458e-3f);
    p = cpu::fma<Arch>(p, r, V(8.368710055947304e-3f));
    p = cpu::fma<Arch>(p, r, V(4.166838899254799e-2f));
    p = cpu::fma<Arch>(p, r, V(0.1666652113199234f));
    p = cpu::fma<Arch>(p, r, V(0.4999999403953552f));
    q = cpu::fma<Arch>(r * r, p, r);
  }
  /// y 2^n in two steps, so that subnormal results round once and the largest do not overflow early.
  RWKV7_INLINE vec<Arch> scaled(const vec<Arch>& y) const noexcept {
    using V = vec<Arch>;
    using I = ivec<Arch>;
    const I n_int = as_int<Arch>(shifted) - I(0x4b400000);
    const I half = n_int >> 1;
    const V scale_1 = as_float<Arch>((half + I(127)) << 23);
    const V scale_2 = as_float<Arch>((n_int - half + I(127)) << 23);
    return y * scale_1 * scale_2;
  }
  RWKV7_INLINE vec<Arch> exp() const noexcept { return scaled(q + vec<Arch>(1.0f)); }
};

template <class Arch>
RWKV7_INLINE vec<Arch> exp(const vec<Arch>& x) noexcept {
  if constexpr (computes_in_double<Arch>) {
    return each_lane<Arch>(::exp, x);
  } else {
    // Not x != x: in xsimd 8.1 that is false for NaN on AVX.
    return xsimd::select(x == x, exp_parts<Arch>(x).exp(), x);
  }
}

/// exp(x) - 1 without the cancellation near 0.
template <class Arch>
RWKV7_INLINE vec<Arch> expm1(const vec<Arch>& x) noexcept {
  if constexpr (computes_in_double<Arch>) {
    return each_lane<Arch>(::expm1, x);
  } else {
    using V = vec<Arch>;
    const exp_parts<Arch> parts(x);
    // (2^n - 1) + 2^n q: both are exact where n is small, 0 among them.
    const V scale = parts.scaled(V(1.0f));
    const V small = cpu::fma<Arch>(parts.q, scale, scale - V(1.0f));
    return xsimd::select(x == x, xsimd::select(xsimd::abs(parts.n) < V(24.0f), small, parts.exp() - V(1.0f)), x);
  }
}

/// 1 / (1 + exp(-x)), accurate relative to the result down to where it underflows.
template <class Arch>
RWKV7_INLINE vec<Arch> sigmoid(const vec<Arch>& x) noexcept {
  using V = vec<Arch>;
  const V e = cpu::exp<Arch>(-xsimd::abs(x));
  return xsimd::select(x < V(0.0f), e, V(1.0f)) / (V(1.0f) + e);
}

template <class Arch>
RWKV7_INLINE vec<Arch> tanh(const vec<Arch>& x) noexcept {
  if constexpr (computes_in_double<Arch>) {
    return each_lane<Arch>(::tanh, x);
  } else {
    using V = vec<Arch>;
    const V magnitude = xsimd::abs(x);
    // Near 0 the quotient below would cancel.
    const V z = x * x;
    V p(-6.274240091443062e-3f);
    p = cpu::fma<Arch>(p, z, V(2.1071679890155792e-2f));
    p = cpu::fma<Arch>(p, z, V(-5.385230854153633e-2f));
    p = cpu::fma<Arch>(p, z, V(0.13332585990428925f));
    p = cpu::fma<Arch>(p, z, V(-0.33333316445350647f));
    const V small = cpu::fma<Arch>(magnitude * z, p, magnitude);
    const V large = V(1.0f) - V(2.0f) / (cpu::exp<Arch>(magnitude + magnitude) + V(1.0f));
    return xsimd::select(magnitude < V(0.55f), small, large) | (x & V(-0.0f));  // with the sign of x, also of a zero
  }
}

/// log(1 + exp(x)) = max(x, 0) + log(1 + e) with e = exp(-|x|), and log(1 + e) = 2 atanh(e / (2 + e)) as a series.
template <class Arch>
RWKV7_INLINE vec<Arch> softplus(const vec<Arch>& x) noexcept {
  using V = vec<Arch>;
  const V e = cpu::exp<Arch>(-xsimd::abs(x));
  const V linear = xsimd::select(x < V(0.0f), V(0.0f), x);
  if constexpr (computes_in_double<Arch>) {
    return linear + each_lane<Arch>(::log1p, e);
  } else {
    const V s = e / (V(2.0f) + e), z = s * s;  // at most 1/9
    V p(2.0f / 15);
    p = cpu::fma<Arch>(p, z, V(2.0f / 13));
    p = cpu::fma<Arch>(p, z, V(2.0f / 11));
    p = cpu::fma<Arch>(p, z, V(2.0f / 9));
    p = cpu::fma<Arch>(p, z, V(2.0f / 7));
    p = cpu::fma<Arch>(p, z, V(2.0f / 5));
    p = cpu::fma<Arch>(p, z, V(2.0f / 3));
    return linear + cpu::fma<Arch>(p * z, s, s + s);
  }
}

}  // namespace rwkv7::backend::cpu
