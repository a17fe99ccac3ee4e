// SPDX-License-Identifier: MIT
#include "rwkv7/core/dtype.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <type_traits>

#if defined(__F16C__)
#include <immintrin.h>
#endif

using rwkv7::bf16;
using rwkv7::dtype;
using rwkv7::f16;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }
std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }

/// What a format of `precision` significant bits can hold, computed on numbers instead of bits: the multiple of the
/// format's spacing that is nearest to x, ties to even because nearbyint does so.
template <class Format>
double rounded(double x) {
  constexpr int precision = std::is_same_v<Format, f16> ? 11 : 8;
  constexpr int least_exponent = std::is_same_v<Format, f16> ? -14 : -126;
  const double largest = std::is_same_v<Format, f16> ? 65504.0 : std::ldexp(255.0, 120);
  if (x == 0 || std::isinf(x)) return x;
  const int exponent = std::max(std::ilogb(x), least_exponent);
  const double spacing = std::ldexp(1.0, exponent - (precision - 1));
  const double result = std::nearbyint(x / spacing) * spacing;
  return std::fabs(result) > largest ? std::copysign(double(infinity), x) : result;
}

template <class Format>
bool rounds_correctly(float x) {
  const auto got = double(Format::from_float(x).to_float()), want = rounded<Format>(double(x));
  return got == want && std::signbit(got) == std::signbit(want);
}

/// Calls f for floats around every place where rounding can change its mind: each value of the format, the tie between
/// it and the next, and the float neighbours of both.
template <class Format, class F>
void for_critical_floats(F f) {
  constexpr unsigned infinite = std::is_same_v<Format, f16> ? 0x7c00u : 0x7f80u;
  for (unsigned b = 0; b < infinite; ++b) {
    const float low = Format{static_cast<std::uint16_t>(b)}.to_float();
    const float high = Format{static_cast<std::uint16_t>(b + 1)}.to_float();
    const double above = std::isinf(high) ? 2.0 * double(low) - double(Format{std::uint16_t(b - 1)}.to_float()) : high;
    const auto tie = static_cast<float>((double(low) + above) / 2);
    for (const float x : {low, tie, std::nextafter(low, infinity), std::nextafter(tie, 0.0f),
                          std::nextafter(tie, infinity), std::nextafter(high, 0.0f)}) {
      f(x);
      f(-x);
    }
  }
}

template <class F>
void for_sampled_floats(F f) {
  for (std::uint64_t u = 0; u < (std::uint64_t{1} << 32); u += 1021) {
    const float x = float_of(static_cast<std::uint32_t>(u));
    if (x == x) f(x);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("every 16-bit value survives the way to float and back", Format, bf16, f16) {
  int changed = 0, nan_lost = 0;
  for (unsigned b = 0; b < 65536; ++b) {
    const Format stored{static_cast<std::uint16_t>(b)};
    const float x = stored.to_float();
    if (x != x)
      nan_lost += Format::from_float(x).to_float() == Format::from_float(x).to_float();
    else
      changed += Format::from_float(x).bits != stored.bits;
  }
  CHECK(changed == 0);
  CHECK(nan_lost == 0);
}

TEST_CASE("a stored value means what its sign, exponent and fraction say") {
  int wrong = 0;
  for (unsigned b = 0; b < 0x7c00u; ++b) {  // f16, finite
    const int exponent = static_cast<int>(b >> 10), fraction = static_cast<int>(b & 0x3ffu);
    const double value =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);  // subnormal, normal
    wrong += double(f16{static_cast<std::uint16_t>(b)}.to_float()) != value;
    wrong += double(f16{static_cast<std::uint16_t>(b | 0x8000u)}.to_float()) != -value;
  }
  for (unsigned b = 0; b < 0x7f80u; ++b) {  // bf16, finite
    const int exponent = static_cast<int>(b >> 7), fraction = static_cast<int>(b & 0x7fu);
    const double value = exponent == 0 ? std::ldexp(fraction, -133) : std::ldexp(128 + fraction, exponent - 134);
    wrong += double(bf16{static_cast<std::uint16_t>(b)}.to_float()) != value;
    wrong += double(bf16{static_cast<std::uint16_t>(b | 0x8000u)}.to_float()) != -value;
  }
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("rounding is to nearest, ties to even, also among subnormals and at the overflow", Format, bf16,
                   f16) {
  int wrong = 0;
  const auto check = [&](float x) {
    if (!rounds_correctly<Format>(x) && ++wrong < 5) CHECK_MESSAGE(false, "bits " << bits_of(x));
  };
  for_critical_floats<Format>(check);
  for_sampled_floats(check);
  CHECK(wrong == 0);
}

TEST_CASE("what is too large becomes infinite, what is too small becomes a zero of the same sign") {
  CHECK(f16::from_float(65504.0f).bits == 0x7bff);
  CHECK(f16::from_float(std::nextafter(65520.0f, 0.0f)).bits == 0x7bff);
  CHECK(f16::from_float(65520.0f).bits == 0x7c00);  // half way to the value that would be next: ties to even
  CHECK(f16::from_float(-infinity).bits == 0xfc00);
  CHECK(f16::from_float(0x1p-25f).bits == 0);
  CHECK(f16::from_float(std::nextafter(0x1p-25f, 1.0f)).bits == 1);
  CHECK(f16::from_float(-0x1p-26f).bits == 0x8000);
  CHECK(bf16::from_float(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bf16::from_float(float_of(0x7f7f7fffu)).bits == 0x7f7f);
  CHECK(bf16::from_float(-infinity).bits == 0xff80);
  CHECK(bf16::from_float(-float_of(1)).bits == 0x8000);
}

TEST_CASE("NaN stays NaN and keeps its sign, whichever bits its payload has") {
  for (const std::uint32_t nan : {0x7f800001u, 0x7f80ffffu, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {
    CAPTURE(nan);
    const auto half = f16::from_float(float_of(nan));
    const auto brain = bf16::from_float(float_of(nan));
    CHECK((half.bits & 0x7fffu) > 0x7c00u);
    CHECK((half.bits >> 15) == (nan >> 31));
    CHECK((brain.bits & 0x7fffu) > 0x7f80u);
    CHECK((brain.bits >> 15) == (nan >> 31));
  }
}

#if defined(__F16C__)
TEST_CASE("f16 agrees with the processor's own conversion") {
  int wrong = 0;
  for (unsigned b = 0; b < 65536; ++b) {
    const float x = f16{static_cast<std::uint16_t>(b)}.to_float(), y = _cvtsh_ss(static_cast<std::uint16_t>(b));
    wrong += x == x ? bits_of(x) != bits_of(y) : y == y;
  }
  const auto check = [&](float x) { wrong += f16::from_float(x).bits != _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT); };
  for_critical_floats<f16>(check);
  for_sampled_floats(check);
  CHECK(wrong == 0);
}
#endif

#if defined(__FLT16_MAX__)
#if defined(__aarch64__)
using compilers_f16 = __fp16;  // g++ 12 has no other name for it there
#else
using compilers_f16 = _Float16;
#endif
TEST_CASE("f16 agrees with the compiler's own type") {
  int wrong = 0;
  for (unsigned b = 0; b < 65536; ++b) {
    const float x = f16{static_cast<std::uint16_t>(b)}.to_float();
    const auto y = static_cast<float>(std::bit_cast<compilers_f16>(static_cast<std::uint16_t>(b)));
    wrong += x == x ? bits_of(x) != bits_of(y) : y == y;
  }
  for_critical_floats<f16>([&](float x) {
    wrong += f16::from_float(x).bits != std::bit_cast<std::uint16_t>(static_cast<compilers_f16>(x));
  });
  CHECK(wrong == 0);
}
#endif

TEST_CASE("conversions work in constant expressions") {
  static_assert(f16::from_float(1.0f).bits == 0x3c00);
  static_assert(f16{0x0001}.to_float() == 0x1p-24f);
  static_assert(bf16::from_float(-2.0f).bits == 0xc000);
  static_assert(bf16{0x3f80}.to_float() == 1.0f);
  CHECK(true);
}

TEST_CASE("an element type knows its tag, its size and its name") {
  static_assert(rwkv7::dtype_of<float> == dtype::f32);
  static_assert(rwkv7::dtype_of<f16> == dtype::f16);
  static_assert(rwkv7::dtype_of<bf16> == dtype::bf16);
  static_assert(!rwkv7::weight_element<double>);
  for (const dtype t : {dtype::f32, dtype::f16, dtype::bf16}) CHECK(rwkv7::size_of(t) == (t == dtype::f32 ? 4u : 2u));
  CHECK(rwkv7::name_of(dtype::f32) == doctest::String("f32"));
  CHECK(rwkv7::name_of(dtype::f16) == doctest::String("f16"));
  CHECK(rwkv7::name_of(dtype::bf16) == doctest::String("bf16"));
}
