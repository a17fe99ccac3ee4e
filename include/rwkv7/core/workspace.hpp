// SPDX-License-Identifier: MIT
/// Scratch memory of the blocks, given by the caller and handed out piece by piece.
///
/// The same function that lays out a block's buffers also measures them: run on a workspace without memory it only
/// counts. So a size query cannot disagree with what the block takes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Memory that is handed out, or the count of what would be.
class workspace {
 public:
  /// Every buffer starts on a cache line, and on the widest vector register.
  static constexpr std::size_t alignment = 64;

  /// Counts only.
  constexpr workspace() noexcept = default;
  /// Hands out `memory`. Any alignment of its start is fine; the size query allows for it.
  constexpr workspace(std::span<std::byte> memory) noexcept : memory_(memory) {}

  /// A dense buffer; absent while counting or when the memory is used up (see fits).
  template <class T, class... Extent>
  view<T, static_cast<int>(sizeof...(Extent))> take(Extent... extents) noexcept {
    view<T, static_cast<int>(sizeof...(Extent))> piece(nullptr, {static_cast<index_t>(extents)...});
    const auto bytes = static_cast<std::size_t>(piece.size()) * sizeof(T);
    const auto start = reinterpret_cast<std::uintptr_t>(memory_.data());
    const std::size_t padding = memory_.data() ? (alignment - (start + used_) % alignment) % alignment : 0;
    const std::size_t offset = used_ + padding;
    used_ = offset + (bytes + alignment - 1) / alignment * alignment;
    if (memory_.data() && used_ <= memory_.size())
      return {reinterpret_cast<T*>(memory_.data() + offset), piece.extents()};
    return piece;
  }

  /// Bytes that a caller must provide for what has been taken so far.
  constexpr std::size_t required() const noexcept { return used_ == 0 ? 0 : used_ + (memory_.data() ? 0 : alignment); }
  /// Bytes not handed out yet.
  constexpr std::size_t remaining() const noexcept { return used_ < memory_.size() ? memory_.size() - used_ : 0; }
  /// What is not handed out yet.
  constexpr view<std::byte, 1> rest() const noexcept {
    return {memory_.data() ? memory_.data() + (memory_.size() - remaining()) : nullptr,
            {static_cast<index_t>(remaining())}};
  }
  /// Whether everything taken so far lies inside the memory.
  constexpr bool fits() const noexcept { return used_ <= memory_.size(); }

 private:
  std::span<std::byte> memory_{};
  std::size_t used_ = 0;
};

}  // namespace rwkv7
