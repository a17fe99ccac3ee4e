// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/wkv7.hpp"
#include "rwkv7/backend/reference/wkv7.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/wkv7.hpp"

namespace rwkv7 {

namespace detail {

/// The checks wkv7 and wkv share.
template <class T, class S, class Inputs>
void check_recurrence(checker& check, const sequences& seq, const Inputs& in, const view<T, 4>& y, const state<S>& s) {
  static_assert(
      std::is_same_v<S, compute_type<T>> || (half_element<S> && !std::is_same_v<T, double>),
      "rwkv7: the state of operands in float, bf16 or f16 is in float, bf16 or f16; that of operands in double "
      "is in double");
  const index_t B = seq.batch(), tokens = seq.tokens(), H = in.r.extent(2), N = in.r.extent(3);
  check.sequence_list(seq, slots_of(s), s.writes())
      .operand("r", in.r, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .head_size(N)
      .operand("w", in.w.values(), {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("k", in.k, {{"B", B}, {"T", tokens}, {"H_k", in.k.extent(2)}, {"N", N}})
      .operand("v", in.v, {{"B", B}, {"T", tokens}, {"H_v", in.v.extent(2)}, {"N", N}})
      .grouped("k", H, in.k.extent(2))
      .grouped("v", H, in.v.extent(2))
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .disjoint("y", y, "r", in.r)
      .disjoint("y", y, "w", in.w.values())
      .disjoint("y", y, "k", in.k)
      .disjoint("y", y, "v", in.v)
      .disjoint("y", y, "state.initial", s.initial)
      .disjoint("y", y, "state.final", s.final);
  if (s.initial)
    check.shape("state.initial", s.initial, {{"slots", s.initial.extent(0)}, {"H", H}, {"N", N}, {"N", N}});
  if (s.final)
    check.shape("state.final", s.final, {{"slots", s.final.extent(0)}, {"H", H}, {"N", N}, {"N", N}})
        .writable("state.final", s.final)
        .same_or_disjoint("state.final", s.final, "state.initial", s.initial)
        .disjoint("state.final", s.final, "r", in.r)
        .disjoint("state.final", s.final, "w", in.w.values())
        .disjoint("state.final", s.final, "k", in.k)
        .disjoint("state.final", s.final, "v", in.v);
  const auto& ring = s.every.ring;
  check
      .snapshots_of(s, "state.every", "state",
                    {{"slots", ring.extent(0)}, {"R", ring.extent(1)}, {"H", H}, {"N", N}, {"N", N}})
      .disjoint("state.every", ring, "r", in.r)
      .disjoint("state.every", ring, "w", in.w.values())
      .disjoint("state.every", ring, "k", in.k)
      .disjoint("state.every", ring, "v", in.v)
      .disjoint("state.every", ring, "y", y);
}

}  // namespace detail

/// What is wrong with a call of wkv7, or nothing.
template <class T, class S = compute_type<T>>
diagnosis validate_wkv7(const sequences& seq, const wkv7_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y,
                        const state<S>& state) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens(), H = in.r.extent(2), N = in.r.extent(3);
  checker check("wkv7");
  detail::check_recurrence(check, seq, in, y, state);
  return check.operand("a", in.a, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("b", in.b, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .disjoint("y", y, "a", in.a)
      .disjoint("y", y, "b", in.b)
      .disjoint("state.final", state.final, "a", in.a)
      .disjoint("state.final", state.final, "b", in.b)
      .disjoint("state.every", state.every.ring, "a", in.a)
      .disjoint("state.every", state.every.ring, "b", in.b)
      .result();
}

/// The RWKV-7 state recurrence, for every sequence and head independently.
///
///   S_t = S_{t-1} diag(w_t) + (S_{t-1} a_t) b_tᵀ + v_t k_tᵀ
///   y_t = S_t r_t
///
///   r a b      [B, T, H, N]  read; N contiguous, other strides free, also negative
///   k v        [B, T, H_k, N], [B, T, H_v, N]  read; head h uses head h / (H / H_k), h / (H / H_v)
///   w          [B, T, H, N]  read; decay<T> says which form it is in
///   y          [B, T, H, N]  overwritten; must not overlap an input
///   state      [slots, H, N, N]  row = value, column = key; .initial read (absent: zeros), .final overwritten (absent:
///              dropped); one view for both carries on in place; .every [slots, R, H, N, N] takes the states in
///              between. Any strides. double with double; else float, bf16 or f16, float where none is given
///
/// Any T (0 carries the state over; 1 is the decode step), any N up to RWKV7_MAX_HEAD_SIZE; fastest at 64 and 128.
/// Errors: rwkv7::error before anything is written. Cost: about 9 N² flops per head and token.
/// Allocates nothing; stack of N² + 73 N elements per thread, N rounded up to 64 (if it is that), 128 or
/// RWKV7_MAX_HEAD_SIZE; three times that where operands or state have 16 bits. Exactness: relative L2 against double ≤
/// 5e-7 per 1 k tokens. Bitwise the same from run to run, for any number of threads, whatever the other sequences hold
/// (D1–D3), and for any split of T at multiples of 32 (D4). With snapshots the bits are those of T calls of one token
/// each. Operands of 16 bits give the result of the same values in float, y rounded once; a state of 16 bits is rounded
/// at the end of a call, so that cuts of T show in it. In double: relative L2 ≤ 1e-13 per 1 k tokens; any split of T is
/// bitwise.
template <executor Exec, class T, class S = compute_type<T>>
void wkv7(Exec&& exec, const sequences& seq, const wkv7_inputs<T>& in, std::type_identity_t<view<T, 4>> y,
          const state<S>& state = {}) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_wkv7(seq, in, y, state); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(wkv7_kernel(a...)) { wkv7_kernel(a...); }, exec, seq, in, y, state);
}

/// What is wrong with a call of wkv, or nothing.
template <class T, read_policy Policy, class S = compute_type<T>>
diagnosis validate_wkv(const sequences& seq, const wkv_inputs<T, Policy>& in, const std::type_identity_t<view<T, 4>>& y,
                       const state<S>& state) noexcept {
  checker check("wkv");
  detail::check_recurrence(check, seq, in, y, state);
  if constexpr (Policy == read_policy::before_bonus)
    check.operand("u", in.u, {{"H", in.r.extent(2)}, {"N", in.r.extent(3)}}).disjoint("y", y, "u", in.u);
  return check.result();
}

/// The recurrence without removal (no a and b), with a choice of the state that is read: RWKV-5 and 6, GLA.
///
///   S_t = S_{t-1} diag(w_t) + v_t k_tᵀ
///   y_t = S_t r_t                                     read_policy::after
///         S_{t-1} r_t                                 read_policy::before
///         S_{t-1} r_t + v_t (Σ_j u_j k_j r_j)         read_policy::before_bonus
///
/// Operands, state, errors, cost and exactness as wkv7; u [H, N] belongs to before_bonus alone.
template <executor Exec, class T, read_policy Policy, class S = compute_type<T>>
void wkv(Exec&& exec, const sequences& seq, const wkv_inputs<T, Policy>& in, std::type_identity_t<view<T, 4>> y,
         const state<S>& state = {}) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_wkv(seq, in, y, state); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(wkv_kernel(a...)) { wkv_kernel(a...); }, exec, seq, in, y, state);
}

}  // namespace rwkv7
