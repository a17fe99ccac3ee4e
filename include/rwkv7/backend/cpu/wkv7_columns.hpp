// SPDX-License-Identifier: MIT
/// The recurrence over many tokens: vector lanes along the value index, the decay deferred.
///
/// S lies in panels of 2 registers of value indices, column after column. Within a block of tokens it is kept as
/// S̃ = S diag(1/W), W_t the product of the decays since the block's first token, and the other operands are scaled to
/// match: ã = a W_{t-1}, b̃ = b / W_t, k̃ = k / W_t, r̃ = r W_t. So a token costs four multiply-adds for each register of
/// S and no decay:
///
///   S̃ += u b̃ᵀ + v k̃ᵀ     y = S̃ r̃     u of the next token = S̃ ã
///
/// in one pass that loads and stores S̃ once and sums nothing across lanes. The scaled operands of 16 tokens are packed
/// beforehand, 4 N floats a token, and serve every panel. Sums over the columns restart every 16: that takes their
/// latency out of the way and keeps their rounding at that of a sum across lanes.
///
/// A block ends after 32 tokens, or before a W leaves 2^±40: then S = S̃ diag(W), as S̃ + (W - 1) S̃ where W is more than
/// 1/2, and the first token of the next block decays S itself, as S + (w - 1) S. A slow decay keeps its digits that
/// way: W is carried as a sum of two floats, made of w - 1, not of w. (Rounding w = 1 - 1e-4 to a float is an error of
/// 3e-8 that would repeat at every token.) A factor below 1/2 is right to 6e-8 of 1, not of itself.
///
/// One thread of an AMD EPYC (Zen 5), AVX-512, N = 64, T = 128: 79 % of the speed that four multiply-adds per element
/// would have at the machine's peak. The panels alone come to 93 %; to pack a token takes 24 ns, to turn a state round
/// and back 0.4 µs. Tried and slower: panels of 4 registers (15 %), two sums for each output that take turns (12 %).
#pragma once

#include "rwkv7/backend/cpu/activation.hpp"
#include "rwkv7/backend/cpu/transpose.hpp"
#include "rwkv7/backend/cpu/wkv7_head.hpp"

namespace rwkv7::backend::cpu {

inline constexpr index_t wkv7_block = 32;
inline constexpr index_t wkv7_packed = 16;  // tokens packed at once: with a panel of S they fit into 32 KiB

/// A number as a sum.
template <class Arch>
struct two_floats {
  vec<Arch> high, low;
};

/// (h + l) (1 + d), nearly without error: the rounding of the upper part goes to the lower one.
template <class Arch>
RWKV7_INLINE two_floats<Arch> times_decay(const vec<Arch>& h, const vec<Arch>& l, const vec<Arch>& d) noexcept {
  const vec<Arch> high = cpu::fma<Arch>(h, d, h);
  return {high, cpu::fma<Arch>(l, d, l) + cpu::fma<Arch>(h, d, h - high)};
}

/// The scaled operands of successive tokens of one block, and its scale.
template <class Arch, index_t Capacity>
struct wkv_packed {
  alignas(64) float change[Capacity];                     // w - 1 of the token that is being packed
  alignas(64) float high[2][Capacity], low[2][Capacity];  // W = high + low; one of the two is that of now
  alignas(64) float first[Capacity];                      // of a block that begins: w - 1
  alignas(64) float rescale[Capacity], keep[Capacity];    // of the block before: W = keep + rescale
  alignas(64) float records[wkv7_packed][4 * Capacity];   // b̃, k̃, r̃ of the token, ã of the next; N each
  int now = 0;

  /// A block begins at the token whose `change` is known: W = 1.
  template <bool Removal, read_policy Policy>
  RWKV7_INLINE void begin(const wkv_head<Removal, Policy>& head, index_t t, index_t t_next, index_t N,
                          float* record) noexcept {
    using V = vec<Arch>;
    const float *r = head.r[t], *k = head.k[t], *b = head.b[t], *a = head.a[t_next];
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      at.store(first, at.load(read(change)));
      at.store(high[now], V(1.0f));
      at.store(low[now], V(0.0f));
      if constexpr (Removal) {
        at.store(record, at.load(b));
        at.store(record + 3 * N, at.load(a));
      }
      at.store(record + N, at.load(k));
      // Where the state is read before its update, the panels read it for the first token before they decay it.
      at.store(record + 2 * N, Policy == read_policy::after ? at.load(r) : V(0.0f));
    });
  }
  /// The next token of the block, W ← W w; or nothing, and false: some channel would leave 2^±40.
  template <bool Removal, read_policy Policy>
  RWKV7_INLINE bool advance(const wkv_head<Removal, Policy>& head, index_t t, index_t t_next, index_t N,
                            float* record) noexcept {
    using V = vec<Arch>;
    const float *r = head.r[t], *k = head.k[t], *b = head.b[t], *a = head.a[t_next];
    const float *high_now = high[now], *low_now = low[now];
    float *high_next = high[1 - now], *low_next = low[1 - now];
    V least(1.0f), most(1.0f);
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V h = at.load(high_now), l = at.load(low_now), d = at.load(read(change));
      const two_floats<Arch> next = times_decay<Arch>(h, l, d);
      const V W = next.high + next.low;
      at.store(high_next, next.high);
      at.store(low_next, next.low);
      // NaN ends nothing: it stays one whatever the scale. Lanes behind the last channel have h = 0, not W.
      const V size = xsimd::select(h == V(0.0f), V(1.0f), xsimd::abs(W));
      least = xsimd::min(size, least);
      most = xsimd::max(size, most);
      const V inverse = V(1.0f) / W;
      if constexpr (Removal) {
        at.store(record, at.load(b) * inverse);
        at.store(record + 3 * N, at.load(a) * W);
      }
      at.store(record + N, at.load(k) * inverse);
      at.store(record + 2 * N, at.load(r) * (Policy == read_policy::after ? W : h + l));
    });
    if (xsimd::any((least < V(0x1p-40f)) | (most > V(0x1p40f)))) return false;
    now = 1 - now;
    return true;
  }
  /// A block ends. W = 1 + (W - 1) where that keeps the digits of W - 1, else 0 + W.
  RWKV7_INLINE void close(index_t N) noexcept {
    using V = vec<Arch>;
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V h = at.load(read(high[now])), one = xsimd::select(h > V(0.5f), V(1.0f), V(0.0f));
      at.store(keep, one);
      at.store(rescale, (h - one) + at.load(read(low[now])));
    });
  }

 private:
  RWKV7_INLINE static const float* read(const float* p) noexcept { return p; }
};

/// A few tokens of one block, which `begins` with them or began before; `rescaled`: there was a block before.
struct wkv_run {
  index_t token, count, end;  // the sequence's end
  bool begins, rescaled;
};

/// Lanes [i, i + Width registers) of S through one run. `u` [N] is carried from run to run of a block.
template <class Arch, int Width, index_t FixedN, index_t Capacity, bool Removal, read_policy Policy>
RWKV7_INLINE void wkv_panel(const wkv_head<Removal, Policy>& head, const wkv_packed<Arch, Capacity>& packed,
                            const wkv_run& run, index_t size, index_t i, float* S, float* u_carried) noexcept {
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>, step = 16;
  const index_t N = FixedN > 0 ? FixedN : size;
  const auto load_lanes = [&](const float* p, int x) RWKV7_INLINE_LAMBDA {
    const index_t at = i + x * W, left = N - at;
    return left >= W ? cpu::load<Arch>(p + at) : left > 0 ? cpu::load_first<Arch>(p + at, left) : V(0.0f);
  };
  // Sums over columns: each(j, part) adds to `part`, which goes to `total` every 16 columns.
  const auto over_columns = [&](V(&total)[2][Width], auto each) RWKV7_INLINE_LAMBDA {
    for (index_t j0 = 0; j0 < N; j0 += step) {
      V part[2][Width];
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x) part[0][x] = part[1][x] = V(0.0f);
      const index_t end = FixedN > 0 && FixedN % step == 0 ? j0 + step : j0 + step < N ? j0 + step : N;
      for (index_t j = j0; j < end; ++j) each(j, part);
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x) {
        total[0][x] += part[0][x];
        total[1][x] += part[1][x];
      }
    }
  };
  const auto scalar = [](const float* p) RWKV7_INLINE_LAMBDA {
    V value(*p);
    pin<Arch>(value);  // else it is loaded again for every register
    return value;
  };

  V u[Width], y_first[Width];
  RWKV7_UNROLL
  for (int x = 0; x < Width; ++x) y_first[x] = V(0.0f);
  if (run.begins) {
    // The old block's scale, then u and what a read before the update sees, then the first token's decay.
    const float *r = head.r[run.token], *a = Removal ? head.a[run.token] : nullptr;
    V total[2][Width];
    RWKV7_UNROLL
    for (int x = 0; x < Width; ++x) total[0][x] = total[1][x] = V(0.0f);
    over_columns(total, [&](index_t j, V(&part)[2][Width]) RWKV7_INLINE_LAMBDA {
      const V rescale(run.rescaled ? packed.rescale[j] : 0.0f), keep(run.rescaled ? packed.keep[j] : 0.0f);
      const V first = scalar(packed.first + j);
      float* column = S + j * (Width * W);
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x) {
        V s = cpu::load<Arch>(column + x * W);
        if (run.rescaled) s = cpu::fma<Arch>(s, rescale, s * keep);
        if constexpr (Removal) part[0][x] = cpu::fma<Arch>(s, V(a[j]), part[0][x]);
        if constexpr (Policy != read_policy::after) part[1][x] = cpu::fma<Arch>(s, V(r[j]), part[1][x]);
        cpu::store<Arch>(column + x * W, cpu::fma<Arch>(s, first, s));
      }
    });
    RWKV7_UNROLL
    for (int x = 0; x < Width; ++x) u[x] = total[0][x], y_first[x] = total[1][x];
  } else {
    RWKV7_UNROLL
    for (int x = 0; x < Width; ++x) u[x] = cpu::load<Arch>(u_carried + i + x * W);
  }

  for (index_t n = 0; n < run.count; ++n) {
    const index_t t = run.token + n;
    const float* const record = packed.records[n];
    if (t + wkv7_packed < run.end) head.prefetch(t + wkv7_packed, i, Width * W);
    V v[Width], total[2][Width];  // of the total: u of the next token, y
    RWKV7_UNROLL
    for (int x = 0; x < Width; ++x) {
      v[x] = load_lanes(head.v[t], x);
      total[0][x] = V(0.0f);
      total[1][x] = n == 0 ? y_first[x] : V(0.0f);
    }
    over_columns(total, [&](index_t j, V(&part)[2][Width]) RWKV7_INLINE_LAMBDA {
      const V kj = scalar(record + N + j), rj = scalar(record + 2 * N + j);
      float* column = S + j * (Width * W);
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x) {
        V s = cpu::load<Arch>(column + x * W);
        if constexpr (Policy != read_policy::after) part[1][x] = cpu::fma<Arch>(s, rj, part[1][x]);
        s = cpu::fma<Arch>(v[x], kj, s);  // first, because u comes late: it is the sum over the token before
        if constexpr (Removal) s = cpu::fma<Arch>(u[x], scalar(record + j), s);
        cpu::store<Arch>(column + x * W, s);
        if constexpr (Policy == read_policy::after) part[1][x] = cpu::fma<Arch>(s, rj, part[1][x]);
        if constexpr (Removal) part[0][x] = cpu::fma<Arch>(s, scalar(record + 3 * N + j), part[0][x]);
      }
    });
    if constexpr (Policy == read_policy::before_bonus) {
      const V own(head.template own<Arch>(t, N));
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x) total[1][x] = cpu::fma<Arch>(v[x], own, total[1][x]);
    }
    RWKV7_UNROLL
    for (int x = 0; x < Width; ++x) {
      u[x] = total[0][x];
      const index_t at = i + x * W, left = N - at;
      if (left >= W)
        cpu::store<Arch>(head.y[t] + at, total[1][x]);
      else if (left > 0)
        cpu::store_first<Arch>(head.y[t] + at, total[1][x], left);
    }
  }
  RWKV7_UNROLL
  for (int x = 0; x < Width; ++x) cpu::store<Arch>(u_carried + i + x * W, u[x]);
}

/// S ← S diag(W), W = keep + rescale.
template <class Arch>
RWKV7_INLINE void rescale_panel(const float* rescale, const float* keep, index_t N, index_t width, float* S) noexcept {
  for (index_t j = 0; j < N; ++j, S += width) {
    const vec<Arch> by(rescale[j]), kept(keep[j]);
    for_lanes<Arch>(width, [&](auto at) RWKV7_INLINE_LAMBDA {
      const vec<Arch> s = at.load(static_cast<const float*>(S));
      at.store(S, cpu::fma<Arch>(s, by, s * kept));
    });
  }
}

/// Rows [i, i + width) of a state as a panel: column j at S + j · width. Zeros where the state is absent or ends.
template <class Arch>
RWKV7_INLINE void read_panel(const view<const float, 2>& state, index_t N, index_t i, index_t width,
                             float* S) noexcept {
  const index_t rows = N - i < width ? N - i : width;
  if (!state || rows < width)
    for (index_t at = 0; at < N * width; ++at) S[at] = 0;
  if (!state) return;
  if (state.stride(1) == 1) return transpose<Arch>(state.at(i, 0), state.stride(0), rows, N, S, width);
  for (index_t j = 0; j < N; ++j)
    for (index_t x = 0; x < rows; ++x) S[j * width + x] = *state.at(i + x, j);
}

/// The other way.
template <class Arch>
RWKV7_INLINE void write_panel(const float* S, index_t N, index_t i, index_t width,
                              const view<float, 2>& state) noexcept {
  const index_t rows = N - i < width ? N - i : width;
  if (state.stride(1) == 1) return transpose<Arch>(S, width, N, rows, state.at(i, 0), state.stride(0));
  for (index_t j = 0; j < N; ++j)
    for (index_t x = 0; x < rows; ++x) *state.at(i + x, j) = S[j * width + x];
}

/// Tokens [0, T) of one sequence and head, T > 0, then f(i, width, S): rows [i, i + width) of the
/// state are the panel S. The state comes from `initial` (absent: zeros; any strides). Capacity bounds N and sizes the
/// stack: N² + 73 N floats.
template <class Arch, index_t Capacity, index_t FixedN, bool Removal, read_policy Policy, class F>
RWKV7_INLINE void wkv_columns(const wkv_head<Removal, Policy>& head, index_t T, index_t size,
                              const view<const float, 2>& initial, F f) noexcept {
  constexpr index_t W = lanes<Arch>, padded = (Capacity + W - 1) / W * W;
  const index_t N = FixedN > 0 ? FixedN : size, all_lanes = FixedN > 0 ? padded : (N + W - 1) / W * W;
  alignas(64) float S[Capacity * padded];
  alignas(64) float u[padded];
  wkv_packed<Arch, Capacity> packed;

  // each(i, registers): lanes from i on are the panel at S + i · N, two registers wide or one.
  const auto for_panels = [&](auto each) RWKV7_INLINE_LAMBDA {
    index_t i = 0;
    for (; i + 2 * W <= all_lanes; i += 2 * W) each(i, std::integral_constant<int, 2>{});
    for (; i < all_lanes; i += W) each(i, std::integral_constant<int, 1>{});
  };
  for_panels([&](index_t i, auto width)
                 RWKV7_INLINE_LAMBDA { read_panel<Arch>(initial, N, i, width.value * W, S + i * N); });

  bool any_before = false;
  for (index_t t = 0; t < T;) {
    wkv_run run{t, 0, T, t % wkv7_block == 0, any_before};
    for (; run.count < wkv7_packed && t < T; ++run.count, ++t) {
      if (run.count > 0 && t % wkv7_block == 0) break;
      float* const record = packed.records[run.count];
      const index_t next = t + 1 < T ? t + 1 : t;  // the last token's is not used
      decays<Arch, decay_as::change>(head.form, head.offset, head.w[t], N, packed.change);
      if (!(run.count == 0 && run.begins) && packed.advance(head, t, next, N, record)) continue;
      if (run.count > 0) break;
      run.begins = true;
      if (any_before) packed.close(N);
      packed.begin(head, t, next, N, record);
    }
    for_panels([&](index_t i, auto width) RWKV7_INLINE_LAMBDA {
      wkv_panel<Arch, width.value, FixedN>(head, packed, run, N, i, S + i * N, u);
    });
    any_before = true;
  }
  packed.close(N);
  for_panels([&](index_t i, auto width) RWKV7_INLINE_LAMBDA {
    rescale_panel<Arch>(packed.rescale, packed.keep, N, width.value * W, S + i * N);
    f(i, width.value * W, S + i * N);
  });
}

}  // namespace rwkv7::backend::cpu
