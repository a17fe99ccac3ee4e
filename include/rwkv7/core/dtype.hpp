// SPDX-License-Identifier: MIT
/// Element types. Arithmetic is in float or double; bf16 and f16 store what is computed in float, and so do the
/// quantised formats of matrices.
///
/// __builtin_bit_cast and not std::bit_cast, which is a function: kernels would leave weak copies of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "rwkv7/core/config.hpp"

namespace rwkv7 {

/// bfloat16 as stored: the upper half of a float. Same bits as torch, Eigen and CUDA use, and may be read and written
/// where another library's type of such bits lives.
struct [[gnu::may_alias]] bf16 {
  std::uint16_t bits;  // as stored

  /// Rounds to nearest, ties to even; NaN stays NaN.
  RWKV7_INLINE static constexpr bf16 from_float(float x) noexcept {
    const auto u = __builtin_bit_cast(std::uint32_t, x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40u)};
    return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
  }
  /// Exact.
  RWKV7_INLINE constexpr float to_float() const noexcept {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
  }
  /// Exact.
  RWKV7_INLINE explicit constexpr operator float() const noexcept { return to_float(); }
  /// Exact.
  RWKV7_INLINE explicit constexpr operator double() const noexcept { return static_cast<double>(to_float()); }
};

/// IEEE binary16 as stored; likewise.
struct [[gnu::may_alias]] f16 {
  std::uint16_t bits;  // as stored

  /// Rounds to nearest, ties to even; overflows to infinity; NaN stays NaN.
  RWKV7_INLINE static constexpr f16 from_float(float x) noexcept {
    const auto u = __builtin_bit_cast(std::uint32_t, x);
    const auto sign = static_cast<std::uint16_t>((u >> 16) & 0x8000u);
    const std::uint32_t magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
    if (magnitude >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // rounds to 65536 or more
    // Below 2^-14 the result is a multiple of 2^-24: adding 0.5 (ulp 2^-24) rounds to it and leaves it in the low bits.
    if (magnitude < 0x38800000u) {
      const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
      return {static_cast<std::uint16_t>(sign | (__builtin_bit_cast(std::uint32_t, shifted) - 0x3f000000u))};
    }
    const std::uint32_t rebiased = magnitude - (112u << 23);
    return {static_cast<std::uint16_t>(sign | ((rebiased + 0xfffu + ((rebiased >> 13) & 1u)) >> 13))};
  }
  /// Exact.
  RWKV7_INLINE constexpr float to_float() const noexcept {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return __builtin_bit_cast(float, sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    // 2^112 restores the exponent bias and normalises subnormals, exactly.
    const float scaled = __builtin_bit_cast(float, magnitude << 13) * 0x1p112f;
    return __builtin_bit_cast(float, sign | __builtin_bit_cast(std::uint32_t, scaled));
  }
  /// Exact.
  RWKV7_INLINE explicit constexpr operator float() const noexcept { return to_float(); }
  /// Exact.
  RWKV7_INLINE explicit constexpr operator double() const noexcept { return static_cast<double>(to_float()); }
};

/// Elements of 16 bits.
template <class T>
concept half_element = std::is_same_v<T, bf16> || std::is_same_v<T, f16>;

/// What operations compute in.
template <class T>
concept compute_element = std::is_same_v<T, float> || std::is_same_v<T, double>;

/// Element types that activations may have.
template <class T>
concept activation_element = compute_element<T> || half_element<T>;

/// What operations on elements of type T compute in: float for bf16 and f16, else T itself. What is carried from call
/// to call and what leaves a model has this type, too, so that a state is not rounded at every token.
template <class T>
using compute_type = std::conditional_t<half_element<T>, float, T>;

/// What a parameter tensor holds. From int8 on: a matrix in a packed format, see rwkv7/core/quantised.hpp.
enum class dtype : std::uint8_t { f32, f16, bf16, int8, int8_rows, int4, nf4 };

/// Whether it is a packed format, whose elements have no address of their own.
RWKV7_INLINE constexpr bool is_quantised(dtype t) noexcept { return t >= dtype::int8; }
/// Bytes of one element; 0 where it is quantised: quantised_size of rwkv7/core/quantised.hpp counts those.
RWKV7_INLINE constexpr std::size_t size_of(dtype t) noexcept { return t == dtype::f32 ? 4 : is_quantised(t) ? 0 : 2; }
/// "f32", "f16", "bf16", "int8", "int8_rows", "int4", "nf4"
constexpr const char* name_of(dtype t) noexcept {
  constexpr const char* names[] = {"f32", "f16", "bf16", "int8", "int8_rows", "int4", "nf4"};
  return names[static_cast<std::size_t>(t)];
}

/// Element types that parameters may have.
template <class T>
concept weight_element = std::is_same_v<T, float> || std::is_same_v<T, f16> || std::is_same_v<T, bf16>;

/// The tag of an element type.
template <weight_element T>
inline constexpr dtype dtype_of = std::is_same_v<T, float> ? dtype::f32
                                  : std::is_same_v<T, f16> ? dtype::f16
                                                           : dtype::bf16;

}  // namespace rwkv7
