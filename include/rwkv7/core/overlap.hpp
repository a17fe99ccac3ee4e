// SPDX-License-Identifier: MIT
/// Do two strided tensors share an element? Exact for what callers hold (dense tensors, slices of one buffer, reversed
/// axes), so that interleaved slices are accepted; when the search would get long it answers yes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "rwkv7/core/view.hpp"

namespace rwkv7 {
namespace detail {

/// Is there a sum of steps, each used 0..reach times, that lands within `width` bytes of `target`?
struct step_sum {
  struct step {
    std::int64_t size;   // > 0, bytes
    std::int64_t reach;  // how often at most
  };
  step steps[16] = {};
  int count = 0;
  int budget = 4096;

  // Largest step first, so that the rest can only correct by less than one step and few candidates remain.
  void sort() noexcept {
    for (int i = 1; i < count; ++i)
      for (int j = i; j > 0 && steps[j].size > steps[j - 1].size; --j) std::swap(steps[j], steps[j - 1]);
  }
  bool hits(std::int64_t low, std::int64_t high, int from) noexcept {  // some sum in [low, high]?
    if (--budget < 0) return true;
    if (low <= 0 && high >= 0) return true;
    if (high < 0 || from == count) return false;
    std::int64_t rest = 0;
    for (int i = from + 1; i < count; ++i) rest += steps[i].size * steps[i].reach;
    const auto [size, reach] = steps[from];
    std::int64_t least = low - rest <= 0 ? 0 : (low - rest + size - 1) / size;
    const std::int64_t most = high / size < reach ? high / size : reach;
    for (; least <= most; ++least)
      if (hits(low - least * size, high - least * size, from + 1)) return true;
    return false;
  }
};

template <class T, int Rank>
std::pair<std::uintptr_t, std::uintptr_t> byte_range(const view<T, Rank>& v) noexcept {
  auto low = reinterpret_cast<std::uintptr_t>(v.data()), high = low;
  for (int a = 0; a < Rank; ++a) {
    const index_t span = (v.extent(a) - 1) * v.stride(a) * static_cast<index_t>(sizeof(T));
    (span < 0 ? low : high) += static_cast<std::uintptr_t>(span);
  }
  return {low, high + sizeof(T)};
}

}  // namespace detail

/// Whether the two tensors share an element, or might.
template <class T, int R1, class U, int R2>
bool overlap(const view<T, R1>& x, const view<U, R2>& y) noexcept {
  if (!x || !y) return false;
  const auto [x_low, x_high] = detail::byte_range(x);
  const auto [y_low, y_high] = detail::byte_range(y);
  if (x_high <= y_low || y_high <= x_low || x.size() == 0 || y.size() == 0) return false;

  // Elements of x start at x_low + Σ i·step, those of y at y_low + Σ j·step with steps made positive. Writing j as
  // (extent - 1) - j', all signs agree and the question is whether one sum reaches the distance between the two ends.
  detail::step_sum sum;
  std::int64_t y_reach = 0;
  const auto add = [&](index_t stride, index_t extent, std::size_t size) {
    const std::int64_t step = (stride < 0 ? -stride : stride) * static_cast<std::int64_t>(size);
    if (step == 0 || extent <= 1) return std::int64_t{0};
    for (int i = 0; i < sum.count; ++i)
      if (sum.steps[i].size == step) {
        sum.steps[i].reach += extent - 1;
        return step * (extent - 1);
      }
    sum.steps[sum.count++] = {step, extent - 1};
    return step * (extent - 1);
  };
  for (int a = 0; a < R1; ++a) add(x.stride(a), x.extent(a), sizeof(T));
  for (int a = 0; a < R2; ++a) y_reach += add(y.stride(a), y.extent(a), sizeof(U));
  sum.sort();
  // Overlap: x_low + s_x + [0, sizeof T) meets y_low + s_y + [0, sizeof U), that is, s_x + (y_reach - s_y) = target + d
  // with -sizeof(T) < d < sizeof(U).
  const std::int64_t target = static_cast<std::int64_t>(y_low) - static_cast<std::int64_t>(x_low) + y_reach;
  return sum.hits(target - static_cast<std::int64_t>(sizeof(T)) + 1, target + static_cast<std::int64_t>(sizeof(U)) - 1,
                  0);
}

}  // namespace rwkv7
