// SPDX-License-Identifier: MIT
/// How tokens form sequences, and which state slot each sequence owns.
#pragma once

#include <cstdint>
#include <span>

#include "rwkv7/core/config.hpp"

namespace rwkv7 {

/// B sequences of T tokens each: operands are [B, T, …], sequence b owns slot b.
struct dense {
  index_t B;  // sequences
  index_t T;  // tokens of each
};

/// A borrowed list of 32-bit or 64-bit integers, which must outlive the calls it is used in.
class index_list {
 public:
  /// No integers.
  constexpr index_list() noexcept = default;
  /// Borrows 32-bit integers.
  constexpr index_list(std::span<const std::int32_t> s) noexcept
      : narrow_(s.data()), size_(static_cast<index_t>(s.size())) {}
  /// Borrows 64-bit integers.
  constexpr index_list(std::span<const std::int64_t> s) noexcept
      : wide_(s.data()), size_(static_cast<index_t>(s.size())) {}
  /// Borrows a container of 32-bit integers.
  template <class Range>
  requires std::convertible_to<const Range&, std::span<const std::int32_t>>
  constexpr index_list(const Range& r) noexcept : index_list(std::span<const std::int32_t>(r)) {}
  /// Borrows a container of 64-bit integers.
  template <class Range>
  requires std::convertible_to<const Range&, std::span<const std::int64_t>>
  constexpr index_list(const Range& r) noexcept : index_list(std::span<const std::int64_t>(r)) {}

  /// How many there are.
  RWKV7_INLINE constexpr index_t size() const noexcept { return size_; }
  /// Integer i.
  RWKV7_INLINE constexpr index_t operator[](index_t i) const noexcept {
    return narrow_ ? static_cast<index_t>(narrow_[i]) : static_cast<index_t>(wide_[i]);
  }

 private:
  const std::int32_t* narrow_ = nullptr;
  const std::int64_t* wide_ = nullptr;
  index_t size_ = 0;
};

/// Sequences of any lengths, one after the other: operands are [1, total, …]; sequence i has the tokens
/// [cu_seqlens[i], cu_seqlens[i + 1]) and owns slot state_indices[i], or slot i when no indices are given.
/// Length 0 is legal: such a sequence carries its state over unchanged.
struct packed {
  index_list cu_seqlens;       // [sequences + 1], from 0, never falling
  index_list state_indices{};  // [sequences], or nothing
};

/// One sequence, as kernels see it: tokens [first, first + length) of batch row `batch`.
struct sequence {
  index_t batch;   // row of the operands
  index_t first;   // its first token
  index_t length;  // its tokens
  index_t slot;    // where its state lies
};

/// Either form. Converts implicitly from both.
class sequences {
 public:
  /// B sequences of T tokens.
  constexpr sequences(dense d) noexcept : dense_(d) {}
  /// Sequences one after the other.
  constexpr sequences(packed p) noexcept : packed_(p), is_packed_(true) {}

  /// Which of the two forms it is.
  RWKV7_INLINE constexpr bool is_packed() const noexcept { return is_packed_; }
  /// The lists of the packed form; empty ones otherwise.
  constexpr const packed& as_packed() const noexcept { return packed_; }
  /// The first two extents of every token operand.
  RWKV7_INLINE constexpr index_t batch() const noexcept { return is_packed_ ? 1 : dense_.B; }
  /// See batch().
  RWKV7_INLINE constexpr index_t tokens() const noexcept {
    return !is_packed_                     ? dense_.T
           : packed_.cu_seqlens.size() > 0 ? packed_.cu_seqlens[packed_.cu_seqlens.size() - 1]
                                           : 0;
  }
  /// How many sequences there are.
  RWKV7_INLINE constexpr index_t count() const noexcept {
    return !is_packed_ ? dense_.B : packed_.cu_seqlens.size() > 0 ? packed_.cu_seqlens.size() - 1 : 0;
  }
  /// Sequence i.
  RWKV7_INLINE constexpr sequence operator[](index_t i) const noexcept {
    if (!is_packed_) return {i, 0, dense_.T, i};
    const index_t first = packed_.cu_seqlens[i];
    const index_t slot = packed_.state_indices.size() > 0 ? packed_.state_indices[i] : i;
    return {0, first, packed_.cu_seqlens[i + 1] - first, slot};
  }

 private:
  dense dense_{0, 0};
  packed packed_{};
  bool is_packed_ = false;
};

}  // namespace rwkv7
