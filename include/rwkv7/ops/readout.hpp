// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/readout.hpp"
#include "rwkv7/backend/reference/readout.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/readout.hpp"

namespace rwkv7 {

/// What is wrong with a call of readout, or nothing.
template <class T>
diagnosis validate_readout(const readout_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), H = in.x.extent(2), N = in.x.extent(3);
  checker check("readout");
  const auto heads = [&](const char* name, const view<const T, 4>& v, const char* letter, index_t count) {
    check.operand(name, v, {{"B", B}, {"T", tokens}, {letter, count}, {"N", N}});
  };
  heads("x", in.x, "H", H);
  if (in.weight || in.bias)
    check.operand("weight", in.weight, {{"H N", H * N}})
        .operand("bias", in.bias, {{"H N", H * N}})
        .disjoint("y", y, "weight", in.weight)
        .disjoint("y", y, "bias", in.bias);
  if (in.r || in.k || in.v || in.r_k) {
    heads("r", in.r, "H", H), heads("k", in.k, "H_k", in.k.extent(2)), heads("v", in.v, "H_v", in.v.extent(2));
    check.grouped("k", H, in.k.extent(2))
        .grouped("v", H, in.v.extent(2))
        .operand("r_k", in.r_k, {{"H", H}, {"N", N}})
        .disjoint("y", y, "r", in.r)
        .disjoint("y", y, "k", in.k)
        .disjoint("y", y, "v", in.v)
        .disjoint("y", y, "r_k", in.r_k);
  }
  if (in.g) {
    heads("g", in.g, "H", H);
    check.same_or_disjoint("y", y, "g", in.g);
  }
  return check.operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .result();
}

/// What time-mix does to the output of the recurrence, in one pass: group_norm, bonus and gate, each where its operands
/// are given.
///
///   y_h = (norm(x_h) + (Σ_j r_j k_j r_k,j) v) ⊙ (gate_offset + g_h)
///
///   x            [B, T, H, N]  read
///   weight bias  [H N]  read; f32, f16 or bf16; both or none: norm(x) = scale · x
///   r            [B, T, H, N]  read
///   k v          [B, T, H_k, N], [B, T, H_v, N]  read; head h uses head h / (H / H_k), h / (H / H_v)
///   r_k          [H, N]  read; f32, f16 or bf16; with r, k and v, or none of the four (no bonus)
///   g            [B, T, H, N]  read, or none (no gate)
///   y            [B, T, H, N]  overwritten; may be x or g itself
///
/// Errors: rwkv7::error before anything is written. Cost: about 14 N flops per head and token. Allocates nothing.
/// Exactness: for float and double the bits of the three operations one after the other; bf16 and f16 are rounded once
/// here. A token's result depends on nothing but the token (D1–D4 bitwise).
template <executor Exec, class T>
void readout(Exec&& exec, const readout_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_readout(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(readout_kernel(a...)) { readout_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
