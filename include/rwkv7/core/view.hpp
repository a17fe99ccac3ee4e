// SPDX-License-Identifier: MIT
/// view<T, Rank>: the one tensor type kernels see. Pointer, extents, strides (in elements); owns nothing.
///
/// Whatever the caller holds becomes a view at the door, so that one kernel serves all of them: raw pointers by the
/// constructors below, anything shaped like std::mdspan (data_handle, extent, stride, rank) implicitly, std::span and
/// Eigen through rwkv7/adapt.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "rwkv7/core/config.hpp"
#include "rwkv7/core/inline_array.hpp"

namespace rwkv7 {

/// Row-major strides of a dense tensor.
template <std::size_t Rank>
RWKV7_INLINE constexpr inline_array<index_t, Rank> dense_strides(const inline_array<index_t, Rank>& extents) noexcept {
  inline_array<index_t, Rank> strides{};
  index_t step = 1;
  for (std::size_t i = Rank; i-- > 0;) {
    strides[i] = step;
    step *= extents[i];
  }
  return strides;
}

/// std::mdspan, Kokkos::mdspan, cuda::std::mdspan and look-alikes.
template <class M>
concept mdspan_like = requires(const M& m, std::size_t i) {
  m.data_handle();
  { m.extent(i) } -> std::convertible_to<index_t>;
  { m.stride(i) } -> std::convertible_to<index_t>;
  { M::rank() } -> std::convertible_to<std::size_t>;
};

/// A tensor in memory that somebody else owns; T is const where it is only read. See rwkv7/core/view.hpp.
template <class T, int Rank>
class view {
 public:
  /// const T where the elements are only read.
  using element_type = T;
  /// Without const.
  using value_type = std::remove_const_t<T>;
  /// One number per axis.
  using index_array = inline_array<index_t, static_cast<std::size_t>(Rank)>;
  /// How many axes it has.
  static constexpr int rank = Rank;

  /// Absent: no data, all extents 0.
  RWKV7_INLINE constexpr view() noexcept {}
  /// A dense row-major tensor at `data`.
  RWKV7_INLINE constexpr view(T* data, const index_array& extents) noexcept
      : data_(data), extents_(extents), strides_(dense_strides(extents)) {}
  /// Strides are in elements, may be negative (a reversed axis) or 0 (a repeated one).
  RWKV7_INLINE constexpr view(T* data, const index_array& extents, const index_array& strides) noexcept
      : data_(data), extents_(extents), strides_(strides) {}
  /// The same from std::array.
  template <std::size_t Axes>
  requires(Axes == static_cast<std::size_t>(Rank)) constexpr view(T* data,
                                                                  const std::array<index_t, Axes>& extents) noexcept
      : data_(data), extents_(axes(extents)), strides_(dense_strides(extents_)) {}
  /// The same from std::array.
  template <std::size_t Axes>
  requires(Axes == static_cast<std::size_t>(Rank)) constexpr view(T* data, const std::array<index_t, Axes>& extents,
                                                                  const std::array<index_t, Axes>& strides) noexcept
      : data_(data), extents_(axes(extents)), strides_(axes(strides)) {}
  /// A view of mutable elements reads as a view of const ones.
  template <class U>
  requires(std::is_const_v<T>&& std::is_same_v<U, value_type>) RWKV7_INLINE
      constexpr view(const view<U, Rank>& v) noexcept
      : data_(v.data()), extents_(v.extents()), strides_(v.strides()) {}
  /// std::mdspan, Kokkos::mdspan, cuda::std::mdspan and look-alikes of the same rank.
  template <mdspan_like M>
  requires std::convertible_to<decltype(std::declval<const M&>().data_handle()), T*>
  constexpr view(const M& m) : data_(m.data_handle()) {
    static_assert(M::rank() == static_cast<std::size_t>(Rank), "rwkv7: this operand has another number of axes");
    for (std::size_t i = 0; i < static_cast<std::size_t>(Rank); ++i) {
      extents_[i] = static_cast<index_t>(m.extent(i));
      strides_[i] = static_cast<index_t>(m.stride(i));
    }
  }

  /// Anything else is refused in words.
  template <class U, int OtherRank>
  requires(OtherRank != Rank || !std::is_same_v<std::remove_const_t<U>, value_type> ||
           (std::is_const_v<U> && !std::is_const_v<T>)) constexpr view(const view<U, OtherRank>&) {
    refuse<U>();
  }
  /// Anything else is refused in words.
  template <mdspan_like M>
  requires(!std::convertible_to<decltype(std::declval<const M&>().data_handle()), T*>) constexpr view(const M&) {
    refuse<M>();
  }

  /// The element with all indices 0; null when absent.
  RWKV7_INLINE constexpr T* data() const noexcept { return data_; }
  /// Of one axis.
  RWKV7_INLINE constexpr index_t extent(int axis) const noexcept { return extents_[static_cast<std::size_t>(axis)]; }
  /// Of one axis, in elements.
  RWKV7_INLINE constexpr index_t stride(int axis) const noexcept { return strides_[static_cast<std::size_t>(axis)]; }
  /// Of all axes.
  RWKV7_INLINE constexpr const index_array& extents() const noexcept { return extents_; }
  /// Of all axes, in elements.
  RWKV7_INLINE constexpr const index_array& strides() const noexcept { return strides_; }
  /// How many elements: the product of the extents.
  RWKV7_INLINE constexpr index_t size() const noexcept {
    index_t n = 1;
    for (const index_t e : extents_) n *= e;
    return n;
  }
  /// False for an absent operand.
  RWKV7_INLINE constexpr explicit operator bool() const noexcept { return data_ != nullptr; }

  /// The element at the given indices.
  template <class... I>
  requires(sizeof...(I) == static_cast<std::size_t>(Rank)) RWKV7_INLINE constexpr T& operator()(I... i) const noexcept {
    return *at(i...);
  }
  /// The address of the element at the given indices.
  template <class... I>
  requires(sizeof...(I) == static_cast<std::size_t>(Rank)) RWKV7_INLINE constexpr T* at(I... i) const noexcept {
    std::size_t axis = 0;
    index_t offset = 0;
    ((offset += static_cast<index_t>(i) * strides_[axis++]), ...);
    return data_ + offset;
  }

  /// Item i of the first axis.
  RWKV7_INLINE constexpr view<T, Rank - 1> operator[](index_t i) const noexcept requires(Rank > 1) {
    inline_array<index_t, static_cast<std::size_t>(Rank - 1)> extents{}, strides{};
    for (std::size_t a = 1; a < static_cast<std::size_t>(Rank); ++a) {
      extents[a - 1] = extents_[a];
      strides[a - 1] = strides_[a];
    }
    return {data_ + i * strides_[0], extents, strides};
  }

  /// The same memory, seen in the same way.
  RWKV7_INLINE friend constexpr bool operator==(const view& x, const view& y) noexcept {
    return x.data_ == y.data_ && x.extents_ == y.extents_ && x.strides_ == y.strides_;
  }

 private:
  static constexpr index_array axes(const std::array<index_t, static_cast<std::size_t>(Rank)>& numbers) noexcept {
    index_array all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = numbers[i];
    return all;
  }
  template <class U>
  static constexpr void refuse() noexcept {
    static_assert(
        sizeof(U) == 0,
        "rwkv7: this operand has another element type or number of axes than the operation wants, or is const "
        "where it is written");
  }

  T* data_ = nullptr;
  index_array extents_{};
  index_array strides_{};
};

/// Items [first, first + count) of one axis.
template <class T, int Rank>
RWKV7_INLINE constexpr view<T, Rank> slice(const view<T, Rank>& v, int axis, index_t first, index_t count) noexcept {
  auto extents = v.extents();
  extents[static_cast<std::size_t>(axis)] = count;
  return {v.data() + first * v.stride(axis), extents, v.strides()};
}

/// The same elements with one axis read backwards; a reversed scan is a scan of a reversed view.
template <class T, int Rank>
RWKV7_INLINE constexpr view<T, Rank> reversed(const view<T, Rank>& v, int axis) noexcept {
  auto strides = v.strides();
  const index_t step = v.stride(axis), last = v.extent(axis) > 0 ? v.extent(axis) - 1 : 0;
  strides[static_cast<std::size_t>(axis)] = -step;
  return {v.data() + last * step, v.extents(), strides};
}

/// The same tensor `count` times along a new first axis, by a stride of 0. Read only.
template <class T, int Rank>
RWKV7_INLINE constexpr view<const T, Rank + 1> broadcast(const view<T, Rank>& v, index_t count) noexcept {
  inline_array<index_t, static_cast<std::size_t>(Rank + 1)> extents{count}, strides{0};
  for (int a = 0; a < Rank; ++a) {
    extents[static_cast<std::size_t>(a + 1)] = v.extent(a);
    strides[static_cast<std::size_t>(a + 1)] = v.stride(a);
  }
  return {v.data(), extents, strides};
}

/// [B, T, H·N] seen as [B, T, H, N]: heads are contiguous slices of the channels.
template <class T>
RWKV7_INLINE constexpr view<T, 4> split_heads(const view<T, 3>& v, index_t N) noexcept {
  return {v.data(),
          {v.extent(0), v.extent(1), v.extent(2) / N, N},
          {v.stride(0), v.stride(1), N * v.stride(2), v.stride(2)}};
}

}  // namespace rwkv7
