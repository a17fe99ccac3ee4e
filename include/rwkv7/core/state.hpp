// SPDX-License-Identifier: MIT
/// What a sequence carries from one call to the next. The memory is the caller's: to branch is to copy, to roll back is
/// to copy back.
#pragma once

#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// What would be carried on from each token of a call, not only from the last: what speculative decoding goes back to
/// when drafted tokens are rejected. The value after token t of a sequence goes to ring(slot, (first + t) mod R), so a
/// sequence of more than R tokens leaves its last R values. To go back within one call, 0 and its number of tokens do
/// for first and R; a first that is the number of tokens so far, mod R, keeps the last R values across calls.
template <class T, int Rank>
struct snapshots {
  view<T, Rank + 1> ring{};  // [slots, R, …]; absent: none are taken
  index_t first = 0;         // in [0, R)

  /// False where none are taken.
  RWKV7_INLINE constexpr explicit operator bool() const noexcept { return static_cast<bool>(ring); }
  /// Where on the second axis the value after token t goes.
  RWKV7_INLINE constexpr index_t place(index_t t) const noexcept { return (first + t) % ring.extent(1); }
};

/// `initial` is read before, `final` overwritten after; the first axis is the slot of the sequence. Either may be
/// absent: no initial means zeros, no final means that nobody needs it. The same view twice carries on in place.
/// An initial value shared by all slots is a broadcast view. `every`, when given, takes the values in between as well;
/// it shares no memory with the other two.
template <class T, int Rank>
struct carried {
  view<const T, Rank> initial{};  // read before
  view<T, Rank> final{};          // overwritten after
  snapshots<T, Rank> every{};     // overwritten on the way

  /// Carries on where the last call ended.
  static constexpr carried in_place(view<T, Rank> v) noexcept { return {v, v}; }
  /// Whether anything is overwritten.
  RWKV7_INLINE constexpr bool writes() const noexcept { return final || every; }
};

/// The WKV state S [slots, H, N, N]: row = value index, column = key index ("V, K" layout; RWKV-LM, ggml). In float
/// beside operands in float, bf16 or f16; in bf16 or f16 where half the memory is worth a rounding for every call.
template <class T>
using state = carried<T, 4>;

/// The previous token's normalised input, [slots, C].
template <class T>
using shift_state = carried<T, 2>;

/// The state of a program that keeps S transposed, [slots, H, key, value] (flash-linear-attention): the same memory,
/// seen as [slots, H, value, key]. No copy.
template <class T>
constexpr view<T, 4> from_key_value(const view<T, 4>& s) noexcept {
  return {s.data(),
          {s.extent(0), s.extent(1), s.extent(3), s.extent(2)},
          {s.stride(0), s.stride(1), s.stride(3), s.stride(2)}};
}

}  // namespace rwkv7
