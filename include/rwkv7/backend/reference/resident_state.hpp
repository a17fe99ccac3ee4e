// SPDX-License-Identifier: MIT
/// A resident state as the definition keeps it: as everybody does, [slots, H, N, N].
#pragma once

#include "rwkv7/backend/reference/wkv7.hpp"
#include "rwkv7/core/resident_state.hpp"

namespace rwkv7::backend::reference {

template <class T, class Exec>
resident_plan resident_plan_of(tag, const Exec&, const state_extents& e) noexcept {
  const auto elements = static_cast<std::size_t>(e.slots * e.H * e.N * e.N);
  return {"reference", 1, (elements * sizeof(T) + sizeof(cache_line) - 1) / sizeof(cache_line)};
}

template <class T>
view<T, 4> rows_of(const resident_state<T>& s) noexcept {
  const auto [slots, H, N] = s.extents();
  return {s.data(), {slots, H, N, N}};
}

template <class Exec, class T>
void import_state_kernel(tag, Exec&, const view<const T, 4>& from, const resident_state<T>& s,
                         const index_list& slots) {
  const auto to = rows_of(s);
  const index_t H = to.extent(1), N = to.extent(2), count = slots.size() > 0 ? slots.size() : to.extent(0);
  for (index_t n = 0; n < count; ++n)
    for (index_t at = 0; at < H * N * N; ++at) {
      const index_t h = at / (N * N), i = at / N % N, j = at % N;
      to(slots.size() > 0 ? slots[n] : n, h, i, j) = from ? from(n, h, i, j) : T(0);
    }
}

template <class Exec, class T>
void export_state_kernel(tag, Exec&, const resident_state<T>& s, const view<T, 4>& to, const index_list& slots) {
  const auto from = rows_of(s);
  const index_t N = from.extent(2);
  for (index_t n = 0; n < to.extent(0); ++n)
    for (index_t at = 0; at < from.extent(1) * N * N; ++at) {
      const index_t h = at / (N * N), i = at / N % N, j = at % N;
      to(n, h, i, j) = from(slots.size() > 0 ? slots[n] : n, h, i, j);
    }
}

template <class Exec, class T>
void flush_state_kernel(tag, Exec&, const resident_state<T>&) {}

template <class Exec, class T>
void wkv7_kernel(tag, Exec& exec, const sequences& seq, const wkv7_inputs<T>& in, const view<T, 4>& y,
                 const resident_state<T>& s) {
  wkv7_kernel(tag{}, exec, seq, in, y, state<T>::in_place(rows_of(s)));
}

}  // namespace rwkv7::backend::reference
