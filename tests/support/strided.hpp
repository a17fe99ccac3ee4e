// SPDX-License-Identifier: MIT
/// Tensors that lie in memory the way callers have them, in a buffer of poison that shows every stray write.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "rwkv7/core/view.hpp"
#include "support/compare.hpp"

namespace rwkv7_test {

using rwkv7::index_t;
using rwkv7::view;

enum class layout {
  dense,        // row-major, on a 16-byte boundary
  offset,       // row-major, one element past that boundary
  padded,       // every row ends in elements that belong to nobody
  interleaved,  // the middle third of every token, as r k v of one product
  reversed,     // tokens run backwards in memory
};
inline constexpr layout layouts[] = {layout::dense, layout::offset, layout::padded, layout::interleaved,
                                     layout::reversed};
inline const char* name_of(layout how) {
  constexpr const char* names[] = {"dense", "offset", "padded", "interleaved", "reversed"};
  return names[static_cast<int>(how)];
}

/// A quiet NaN with bits that no computation makes.
template <class T>
constexpr T poison() noexcept {
  if constexpr (sizeof(T) == 2) return std::bit_cast<T>(std::uint16_t{0x7fde});
  if constexpr (sizeof(T) == 4) return std::bit_cast<T>(std::uint32_t{0x7fc0dead});
  if constexpr (sizeof(T) == 8) return std::bit_cast<T>(std::uint64_t{0x7ff8dead7ff8dead});
}

/// A float as an element of a tensor.
template <class T>
T element(float x) noexcept {
  if constexpr (sizeof(T) == 2)
    return T::from_float(x);
  else
    return static_cast<T>(x);
}

/// Owns a tensor. All of its buffer is poison until something is written.
template <class T, int Rank>
class tensor {
 public:
  using index_array = std::array<index_t, static_cast<std::size_t>(Rank)>;

  explicit tensor(const index_array& extents, layout how = layout::dense) : extents_(extents) {
    constexpr std::size_t item = Rank > 2 ? 1 : 0;  // the axis whose items are interleaved, or run backwards
    index_t step = 1;
    for (auto a = static_cast<std::size_t>(Rank); a-- > 0;) {
      if (how == layout::interleaved && Rank > 1 && a == item) step *= 3;
      strides_[a] = step;
      step *= extents[a];
      if (how == layout::padded && a > 0) step += 3;
    }
    begin_ = margin;
    if (how == layout::offset) begin_ += 1;
    if (how == layout::interleaved && Rank > 1) begin_ += strides_[item] / 3;
    if (how == layout::reversed && Rank > 1 && extents[item] > 0) {
      begin_ += (extents[item] - 1) * strides_[item];
      strides_[item] = -strides_[item];
    }
    buffer_.assign(static_cast<std::size_t>(step + 2 * margin), poison<T>());
  }

  /// To read, and to write.
  operator view<const T, Rank>() const noexcept { return {buffer_.data() + begin_, extents_, strides_}; }
  view<const T, Rank> in() const noexcept { return *this; }
  view<T, Rank> out() noexcept { return {buffer_.data() + begin_, extents_, strides_}; }

  index_t extent(int axis) const noexcept { return extents_[static_cast<std::size_t>(axis)]; }
  index_t size() const noexcept { return in().size(); }
  /// Element i in row-major order, wherever it lies.
  T& operator[](index_t i) noexcept { return buffer_[place(i)]; }
  const T& operator[](index_t i) const noexcept { return buffer_[place(i)]; }

  /// Element i becomes f(i).
  template <class F>
  void generate(F f) {
    for_each_place([&](index_t i, std::size_t at) { buffer_[at] = f(i); });
  }
  /// All elements in row-major order.
  std::vector<T> values() const {
    std::vector<T> all(static_cast<std::size_t>(size()));
    for_each_place([&](index_t i, std::size_t at) { all[static_cast<std::size_t>(i)] = buffer_[at]; });
    return all;
  }
  void assign(const std::vector<T>& values) {
    generate([&](index_t i) { return values[static_cast<std::size_t>(i)]; });
  }

  /// No element of the buffer was written, or none outside the tensor.
  bool untouched() const { return poisoned(buffer_); }
  bool surroundings_untouched() const {
    auto copy = *this;
    copy.generate([](index_t) { return poison<T>(); });
    return poisoned(copy.buffer_);
  }

 private:
  static constexpr index_t margin = 32;

  static bool poisoned(const std::vector<T>& buffer) {
    for (const T x : buffer)
      if (bits_of(x) != bits_of(poison<T>())) return false;
    return true;
  }
  /// f(i, place(i)) in row-major order, without a division for every axis.
  template <class F>
  void for_each_place(F f) const {
    index_array index{};
    index_t at = begin_;
    for (index_t i = 0, n = size(); i < n; ++i) {
      f(i, static_cast<std::size_t>(at));
      for (auto a = static_cast<std::size_t>(Rank); a-- > 0;) {
        at += strides_[a];
        if (++index[a] < extents_[a]) break;
        at -= extents_[a] * strides_[a];
        index[a] = 0;
      }
    }
  }
  std::size_t place(index_t i) const noexcept {
    index_t at = begin_;
    for (std::size_t a = static_cast<std::size_t>(Rank); a-- > 0;) {
      at += i % extents_[a] * strides_[a];
      i /= extents_[a];
    }
    return static_cast<std::size_t>(at);
  }

  index_array extents_{}, strides_{};
  index_t begin_ = 0;
  std::vector<T> buffer_;
};

}  // namespace rwkv7_test
