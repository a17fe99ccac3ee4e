// SPDX-License-Identifier: MIT
/// The attention block of hybrid models: what the layers keep that were not turned into time-mix.
#pragma once

#include <cmath>

#include "rwkv7/core/workspace.hpp"
#include "rwkv7/ops/gqa_attention.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/rms_norm.hpp"
#include "rwkv7/ops/rope.hpp"
#include "rwkv7/variant/dims.hpp"

namespace rwkv7 {

/// Parameters, with the names and shapes of Transformers (`layers.i.self_attn`).
struct attention_weights {
  weights<2> q_proj{}, k_proj{}, v_proj{}, o_proj{};  // [D, C], [D_kv, C], [D_kv, C], [C, D]
  weights<1> q_bias{}, k_bias{}, v_bias{}, o_bias{};  // [D], [D_kv], [D_kv], [C], each or absent
  weights<1> q_norm{}, k_norm{};                      // [N], both or neither: rms_norm of every head
  double norm_eps = 1e-6;                             // of that norm, under the root
};

/// Operands of attention.
template <class T>
struct attention_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, C], normalised
  view<const compute_type<T>, 3> cos{}, sin{};     // [B, T, N / 2]  of rope_table; absent: no rotation
  index_t window = 0;                              // keys that a query sees at most, its own token's included; 0: all
};

/// The activations of one call, in the caller's workspace.
template <class T>
struct attention_buffers {
  view<T, 3> q{}, k{}, v{};  // [B, T, D], [B, T, D_kv], [B, T, D_kv]; q becomes what is projected
};

/// Lays out the activations of one call; on a counting workspace it only measures.
template <class T>
attention_buffers<T> take_attention_buffers(workspace& memory, const dims& d, index_t B, index_t tokens) noexcept {
  return {memory.take<T>(B, tokens, d.D()), memory.take<T>(B, tokens, d.D_kv()), memory.take<T>(B, tokens, d.D_kv())};
}

/// Bytes of scratch that attention needs for these sequences.
template <class T>
std::size_t attention_workspace_size(const sequences& seq, const dims& d) noexcept {
  workspace counting;
  take_attention_buffers<T>(counting, d, seq.batch(), seq.tokens());
  return counting.required();
}

/// What is wrong with a call of attention, or nothing.
template <class T>
diagnosis validate_attention(const sequences& seq, const dims& d, const attention_weights& p,
                             const attention_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y,
                             const std::type_identity_t<kv_cache<T>>& cache, workspace memory) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens(), D = d.D(), D_kv = d.D_kv(), half = d.N / 2;
  checker check("attention");
  check.grouped("k v", d.H, d.H_kv)
      .head_size(d.N)
      .require(d.N > 0, "head size N", d.N, "1 or more")
      .matrix("q_proj", p.q_proj, {{"D", D}, {"C", d.C}})
      .matrix("k_proj", p.k_proj, {{"D_kv", D_kv}, {"C", d.C}})
      .matrix("v_proj", p.v_proj, {{"D_kv", D_kv}, {"C", d.C}})
      .matrix("o_proj", p.o_proj, {{"C", d.C}, {"D", D}});
  const auto given = [&](const char* name, const weights<1>& w, index_t width) {
    if (w) check.operand(name, w, {{"channels", width}});
  };
  given("q_proj.bias", p.q_bias, D), given("k_proj.bias", p.k_bias, D_kv);
  given("v_proj.bias", p.v_bias, D_kv), given("o_proj.bias", p.o_bias, d.C);
  if (p.q_norm || p.k_norm)
    check.operand("q_norm.weight", p.q_norm, {{"N", d.N}}).operand("k_norm.weight", p.k_norm, {{"N", d.N}});
  check.operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", d.C}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"C", d.C}})
      .writable("y", y)
      .disjoint("y", y, "x", in.x)
      .disjoint("y", y, "cos", in.cos)
      .disjoint("y", y, "sin", in.sin);
  if (in.cos || in.sin)
    check.require(d.N % 2 == 0, "head size N", d.N, "an even number, for rope")
        .operand("cos", in.cos, {{"B", B}, {"T", tokens}, {"N / 2", half}})
        .operand("sin", in.sin, {{"B", B}, {"T", tokens}, {"N / 2", half}});
  const auto scratch = memory.rest();
  check.scratch(memory.remaining(), attention_workspace_size<T>(seq, d))
      .disjoint("workspace", scratch, "x", in.x)
      .disjoint("workspace", scratch, "cos", in.cos)
      .disjoint("workspace", scratch, "sin", in.sin)
      .disjoint("workspace", scratch, "y", y)
      .disjoint("workspace", scratch, "cache.k", cache.k)
      .disjoint("workspace", scratch, "cache.v", cache.v)
      .disjoint("workspace", scratch, "cache.position", cache.position)
      .disjoint("cache.k", cache.k, "x", in.x)
      .disjoint("cache.v", cache.v, "x", in.x)
      .disjoint("cache.k", cache.k, "y", y)
      .disjoint("cache.v", cache.v, "y", y);
  if (check.result()) return check.result();
  const auto z = take_attention_buffers<T>(memory, d, B, tokens);
  const gqa_attention_inputs<T> heads{.q = split_heads(z.q, d.N),
                                      .k = split_heads(z.k, d.N),
                                      .v = split_heads(z.v, d.N),
                                      .scale = 1,
                                      .window = in.window};
  return cache.k ? validate_gqa_attention(seq, heads, split_heads(z.q, d.N), cache)
                 : validate_gqa_attention(seq, seq, heads, split_heads(z.q, d.N));
}

/// One attention block over every sequence.
///
///   q = rope(norm(q_proj x + b)), k likewise, v = v_proj x + b
///   y = o_proj softmax(q k / √N) v + b                              causal; heads of k and v shared by groups
///
///   x        [B, T, C]  read; normalised
///   cos sin  [B, T, N / 2]  read where given; hxa models have none here: they are NoPE
///   y        [B, T, C]  overwritten; must not overlap x
///   cache    .k .v [slots, H_kv, capacity, N] as in gqa_attention; absent: sequences begin here, and nothing is kept
///   memory   attention_workspace_size<T>(sequences, d) bytes, overwritten
///
/// Errors: rwkv7::error before anything is written. That outputs, cache and scratch share no memory with the parameters
/// is not checked. Allocates nothing. Exactness: as its operations.
template <executor Exec, class T>
void attention(Exec&& exec, const sequences& seq, const dims& d, const attention_weights& p,
               const attention_inputs<T>& in, std::type_identity_t<view<T, 3>> y,
               const std::type_identity_t<kv_cache<T>>& cache, workspace memory) {
  if (const auto problem =
          detail::problem_of(exec, [&] { return validate_attention(seq, d, p, in, y, cache, memory); }))
    return report(problem);
  const auto z = take_attention_buffers<T>(memory, d, seq.batch(), seq.tokens());
  detail::prechecked inside(exec);
  linear(inside, linear_inputs<T>{.x = in.x, .weight = p.q_proj, .bias = p.q_bias}, z.q);
  linear(inside, linear_inputs<T>{.x = in.x, .weight = p.k_proj, .bias = p.k_bias}, z.k);
  linear(inside, linear_inputs<T>{.x = in.x, .weight = p.v_proj, .bias = p.v_bias}, z.v);
  const auto q = split_heads(z.q, d.N), k = split_heads(z.k, d.N), v = split_heads(z.v, d.N);
  if (p.q_norm) {
    rms_norm(inside, rms_norm_inputs<T>{.x = q, .weight = p.q_norm, .eps = p.norm_eps}, q);
    rms_norm(inside, rms_norm_inputs<T>{.x = k, .weight = p.k_norm, .eps = p.norm_eps}, k);
  }
  if (in.cos) {
    rope(inside, rope_inputs<T>{.x = q, .cos = in.cos, .sin = in.sin}, q);
    rope(inside, rope_inputs<T>{.x = k, .cos = in.cos, .sin = in.sin}, k);
  }
  const double scale = 1 / std::sqrt(static_cast<double>(d.N));
  const gqa_attention_inputs<T> heads{.q = q, .k = k, .v = v, .scale = scale, .window = in.window};
  if (cache.k)
    gqa_attention(inside, seq, heads, q, cache);
  else
    gqa_attention(inside, seq, seq, heads, q);
  linear(inside, linear_inputs<T>{.x = z.q, .weight = p.o_proj, .bias = p.o_bias}, y);
}

}  // namespace rwkv7
