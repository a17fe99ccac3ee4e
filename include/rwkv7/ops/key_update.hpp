// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/key_update.hpp"
#include "rwkv7/backend/reference/key_update.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/key_update.hpp"

namespace rwkv7 {

/// What is wrong with a call of key_update, or nothing.
template <class T>
diagnosis validate_key_update(const key_update_inputs<T>& in, const key_update_outputs<T>& out) noexcept {
  const index_t B = in.eta.extent(0), tokens = in.eta.extent(1), H = in.eta.extent(2), N = in.eta.extent(3);
  const index_t H_kv = in.k.extent(2);
  checker check("key_update");
  check.operand("eta", in.eta, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("k", in.k, {{"B", B}, {"T", tokens}, {"H_kv", H_kv}, {"N", N}})
      .grouped("k", H, H_kv)
      .operand("y.k", out.k, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("y.a", out.a, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("y.b", out.b, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y.k", out.k)
      .writable("y.a", out.a)
      .writable("y.b", out.b)
      .same_or_disjoint("y.k", out.k, "k", in.k)
      .disjoint("y.k", out.k, "eta", in.eta)
      .disjoint("y.a", out.a, "k", in.k)
      .disjoint("y.a", out.a, "eta", in.eta)
      .disjoint("y.b", out.b, "k", in.k)
      .same_or_disjoint("y.b", out.b, "eta", in.eta)
      .disjoint("y.a", out.a, "y.k", out.k)
      .disjoint("y.b", out.b, "y.k", out.k)
      .disjoint("y.b", out.b, "y.a", out.a)
      .disjoint("y.k", out.k, "k_k", in.k_k)
      .disjoint("y.k", out.k, "k_a", in.k_a)
      .disjoint("y.a", out.a, "k_k", in.k_k)
      .disjoint("y.a", out.a, "k_a", in.k_a)
      .disjoint("y.b", out.b, "k_k", in.k_k)
      .disjoint("y.b", out.b, "k_a", in.k_a);
  if (in.k_k && in.k_k.extent(0) != H * N) check.operand("k_k", in.k_k, {{"H_kv N", H_kv * N}});
  if (in.k_k) check.unit_stride("k_k", "H_kv N", in.k_k);
  if (in.rule == key_rule::k_a) {
    check.operand("k_a", in.k_a, {{"H N", H * N}});
  } else {
    check.operand("w", in.w, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
        .disjoint("y.k", out.k, "w", in.w)
        .disjoint("y.a", out.a, "w", in.w)
        .disjoint("y.b", out.b, "w", in.w);
  }
  return check.result();
}

/// From projected keys to what the recurrence removes and writes.
///
///   q  = k ⊙ k_k            kk = q / max(‖q‖₂, eps) per head
///   k' = k ⊙ (1 + (eta - 1) ⊙ k_a), or k ⊙ (1 - ω + eta), or k ⊙ (1 - w + eta): the rule
///   a  = -kk                b = kk ⊙ eta
///
///   k         [B, T, H_kv, N]  read; head h uses k of head h / (H / H_kv)
///   eta       [B, T, H, N]  read; in (0, 1); called `a` in RWKV-LM
///   k_k       [H_kv N] or, where the heads of a group have their own, [H N]  read, or absent: 1; f32, f16 or bf16
///   k_a       [H N]  read, likewise
///   w         [B, T, H, N]  read by the rules that want it; logits as in decay<T>::logit
///   k' a b    [B, T, H, N]  overwritten; k' may be k, b may be eta, otherwise no overlap
///
/// Errors: rwkv7::error before anything is written. Cost: about 9 N flops per head and token. Allocates nothing.
/// Exactness: a token's result depends on nothing but the token (D1–D4 bitwise).
template <executor Exec, class T>
void key_update(Exec&& exec, const key_update_inputs<T>& in, const std::type_identity_t<key_update_outputs<T>>& out) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_key_update(in, out); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(key_update_kernel(a...)) { key_update_kernel(a...); }, exec, in, out);
}

}  // namespace rwkv7
