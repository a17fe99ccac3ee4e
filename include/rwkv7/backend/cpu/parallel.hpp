// SPDX-License-Identifier: MIT
/// Splits independent items over an executor. The split follows the thread count, so a task may compute nothing that
/// depends on where its range begins or ends: that is what makes results independent of the number of threads.
#pragma once

#include "rwkv7/exec/executor.hpp"

namespace rwkv7::backend::cpu {

/// f(begin, end) over disjoint ranges that cover [0, n); they begin at multiples of `step`. `grain` is how many items
/// are worth waking a sleeping pool for; where handing out tasks costs less, ranges may be that much smaller.
template <cpu_executor Exec, class F>
void for_ranges(Exec& exec, index_t n, index_t grain, index_t step, F&& f) {
  if (n <= 0) return;
  const index_t cost = fork_cost_of(exec), cheap = 6000 / (cost > 1 ? cost : 1);
  const index_t least = cheap > 1 ? (grain + cheap - 1) / cheap : grain;
  const index_t most = n / least < 1 ? 1 : n / least;
  // Twice as many ranges as threads evens out unequal speed; more would cost synchronisation.
  const index_t wanted = exec.concurrency() > 1 ? 2 * static_cast<index_t>(exec.concurrency()) : 1;
  const index_t ranges = wanted < most ? wanted : most;
  if (ranges == 1) return f(index_t{0}, n);
  const index_t steps = (n + step - 1) / step;
  exec.bulk(ranges, [&](index_t i) noexcept {
    const index_t begin = steps * i / ranges * step;
    const index_t end = i + 1 == ranges ? n : steps * (i + 1) / ranges * step;
    if (begin < end) f(begin, end);
  });
}

/// Rows [b, t] of a [B, T, …] tensor, at least `grain` rows to a task.
template <cpu_executor Exec, class F>
void for_rows(Exec& exec, index_t B, index_t T, index_t grain, F&& f) {
  for_ranges(exec, B * T, grain, 1, [&](index_t begin, index_t end) noexcept {
    for (index_t row = begin; row < end; ++row) f(row / T, row % T);
  });
}

/// Rows of `width` elements that make a task worth handing to another thread: about 10 µs of elementwise work.
RWKV7_INLINE constexpr index_t row_grain(index_t width) noexcept {
  return width >= 32768 ? 1 : 32768 / (width > 0 ? width : 1);
}

}  // namespace rwkv7::backend::cpu
