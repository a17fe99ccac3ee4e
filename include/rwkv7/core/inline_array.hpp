// SPDX-License-Identifier: MIT
/// std::array for what kernels hold. The functions of std::array are weak symbols without an architecture in their
/// names: of the copies that units for several processors leave at -O0, the linker would keep any one.
#pragma once

#include <cstddef>

#include "rwkv7/core/config.hpp"

namespace rwkv7 {

/// An aggregate, as std::array: inline_array<index_t, 3>{B, T, C}.
template <class T, std::size_t Size>
struct inline_array {
  /// What it holds.
  T items[Size];

  /// Item i.
  RWKV7_INLINE constexpr T& operator[](std::size_t i) noexcept { return items[i]; }
  /// Item i.
  RWKV7_INLINE constexpr const T& operator[](std::size_t i) const noexcept { return items[i]; }
  /// The last item.
  RWKV7_INLINE constexpr T& back() noexcept { return items[Size - 1]; }
  /// The first item.
  RWKV7_INLINE constexpr T* begin() noexcept { return items; }
  /// The first item.
  RWKV7_INLINE constexpr const T* begin() const noexcept { return items; }
  /// Behind the last item.
  RWKV7_INLINE constexpr T* end() noexcept { return items + Size; }
  /// Behind the last item.
  RWKV7_INLINE constexpr const T* end() const noexcept { return items + Size; }
  /// How many items there are.
  RWKV7_INLINE static constexpr std::size_t size() noexcept { return Size; }

  /// Item by item.
  RWKV7_INLINE friend constexpr bool operator==(const inline_array& x, const inline_array& y) noexcept {
    for (std::size_t i = 0; i < Size; ++i)
      if (!(x.items[i] == y.items[i])) return false;
    return true;
  }
};

}  // namespace rwkv7
