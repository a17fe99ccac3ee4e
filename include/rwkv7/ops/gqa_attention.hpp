// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/gqa_attention.hpp"
#include "rwkv7/backend/reference/gqa_attention.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/gqa_attention.hpp"

namespace rwkv7 {

namespace detail {

/// The checks of both forms.
template <class T>
void check_attention(checker& check, const sequences& seq, const sequences& keys, const gqa_attention_inputs<T>& in,
                     const view<T, 4>& y) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens(), H = in.q.extent(2), N = in.q.extent(3);
  const index_t S = keys.tokens(), H_kv = in.k.extent(2);
  check.operand("q", in.q, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .head_size(N)
      .operand("k", in.k, {{"B", keys.batch()}, {"S", S}, {"H_kv", H_kv}, {"N", N}})
      .operand("v", in.v, {{"B", keys.batch()}, {"S", S}, {"H_kv", H_kv}, {"N", N}})
      .grouped("k", H, H_kv)
      .require(in.window >= 0, "window", in.window, "0 or more")
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .same_or_disjoint("y", y, "q", in.q)
      .disjoint("y", y, "k", in.k)
      .disjoint("y", y, "v", in.v);
}

}  // namespace detail

/// What is wrong with a call of gqa_attention on given keys, or nothing.
template <class T>
diagnosis validate_gqa_attention(const sequences& seq, const sequences& keys, const gqa_attention_inputs<T>& in,
                                 const std::type_identity_t<view<T, 4>>& y) noexcept {
  checker check("gqa_attention");
  check.sequence_list(seq, -1, false).sequence_list(keys, -1, false);
  if (!check.result() && keys.count() != seq.count())
    check.require(false, "sequences of keys", keys.count(), "as many as of queries");
  for (index_t i = 0; !check.result() && i < seq.count(); ++i)
    check.require(keys[i].length >= seq[i].length, "keys of a sequence", keys[i].length, "at least its queries");
  detail::check_attention(check, seq, keys, in, y);
  return check.result();
}

/// What is wrong with a call of gqa_attention on a cache, or nothing.
template <class T>
diagnosis validate_gqa_attention(const sequences& seq, const gqa_attention_inputs<T>& in,
                                 const std::type_identity_t<view<T, 4>>& y,
                                 const std::type_identity_t<kv_cache<T>>& cache) noexcept {
  const index_t slots = cache.position.extent(0), H_kv = in.k.extent(2), capacity = cache.k.extent(2);
  const index_t N = in.q.extent(3);
  checker check("gqa_attention");
  check.sequence_list(seq, slots, true);
  detail::check_attention(check, seq, seq, in, y);
  check.operand("cache.position", cache.position, {{"slots", slots}})
      .operand("cache.k", cache.k, {{"slots", slots}, {"H_kv", H_kv}, {"capacity", capacity}, {"N", N}})
      .operand("cache.v", cache.v, {{"slots", slots}, {"H_kv", H_kv}, {"capacity", capacity}, {"N", N}})
      .require(capacity > 0 || seq.tokens() == 0, "cache capacity", capacity, "1 or more")
      .require(in.window <= capacity, "window", in.window, "at most the capacity of the cache")
      .writable("cache.k", cache.k)
      .writable("cache.v", cache.v)
      .disjoint("cache.v", cache.v, "cache.k", cache.k);
  const auto apart = [&](const char* name, const view<T, 4>& written) {
    check.disjoint(name, written, "q", in.q)
        .disjoint(name, written, "k", in.k)
        .disjoint(name, written, "v", in.v)
        .disjoint(name, written, "y", y)
        .disjoint(name, written, "cache.position", cache.position);
  };
  apart("cache.k", cache.k);
  apart("cache.v", cache.v);
  check.disjoint("y", y, "cache.position", cache.position);
  constexpr index_t most = index_t{1} << 60;
  for (index_t i = 0; !check.result() && i < seq.count(); ++i) {
    const index_t position = cache.position(seq[i].slot);
    check.require(position >= 0 && position < most, "cache.position", position, "0 or more and less than 2^60");
  }
  return check.result();
}

/// Causal softmax attention on given keys and values, whose heads groups of query heads share.
///
///   y_t = Σ_s softmax_s(scale q_t · k_s) v_s          over s ≤ t + S - T, the last `window` of them if it is not 0
///
///   q     [B, T, H, N]  read
///   k v   [B, S, H_kv, N]  read; head h uses head h / (H / H_kv). Sequence i of `keys` is that of sequence i of `seq`,
///   as
///         long or longer: its last keys belong to the queries
///   y     [B, T, H, N]  overwritten; may be q itself, otherwise no overlap
///
/// No rotation: give q and k to rope first where a model has it. Errors: rwkv7::error before anything is written.
/// Cost: 4 N flops and an exponential for each query head and key seen; at decode a group's keys and values are read
/// once for up to 24 heads. Threads share out groups, and queries by 24. Allocates nothing; stack of 24 (3
/// RWKV7_MAX_HEAD_SIZE + 64) elements per thread, 78 KiB in float, however many keys there are.
/// Exactness: relative L2 against double within what a sum over S and one over N lose; y rounded once. A query's bits
/// depend on nothing but it and the keys that it sees with their positions: D1–D4 bitwise for any cut of T.
template <executor Exec, class T>
void gqa_attention(Exec&& exec, const sequences& seq, const sequences& keys, const gqa_attention_inputs<T>& in,
                   std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_gqa_attention(seq, keys, in, y); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(gqa_attention_kernel(a...)) { gqa_attention_kernel(a...); }, exec, seq,
                    keys, in, y);
}

/// The same where a cache holds the keys and values of earlier tokens: k and v are those of the T new ones, which are
/// put into the rings after all queries have been answered.
///
///   k v      [B, T, H_kv, N]  read
///   cache    .k .v [slots, H_kv, capacity, N]  read and written, .position [slots] read; advance_positions counts the
///            tokens once the last layer has run. A window of 0 means the capacity
///
/// A call may have more tokens than a ring has places; each query still sees its whole window. Bits are those of one
/// call on all keys, wherever calls are cut and rings begin.
template <executor Exec, class T>
void gqa_attention(Exec&& exec, const sequences& seq, const gqa_attention_inputs<T>& in,
                   std::type_identity_t<view<T, 4>> y, const std::type_identity_t<kv_cache<T>>& cache) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_gqa_attention(seq, in, y, cache); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(gqa_attention_kernel(a...)) { gqa_attention_kernel(a...); }, exec, seq,
                    in, y, cache);
}

}  // namespace rwkv7
