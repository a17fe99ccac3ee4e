// SPDX-License-Identifier: MIT
/// Every block once, as op_calls.hpp has the operations.
#pragma once

#include <utility>

#include "rwkv7/block/hybrid_layer.hpp"
#include "rwkv7/block/layer.hpp"
#include "support/op_calls.hpp"

namespace rwkv7_test {

/// visit(name, call) for the blocks, with parameters of this type; call(exec) runs one. N may be any head size, C need
/// not be H · N.
template <class Allocate, class Visit>
void for_each_block(const op_sizes& s, rwkv7::dtype type, Allocate allocate, Visit visit) {
  operand_source<Allocate> o(std::move(allocate));
  const auto [B, T, H, H_kv, N, C, rank] = s;
  const index_t D = H * N, F = 2 * C + 1;
  const auto vector = [&](index_t n) { return o.parameter(type, {n}, 1.0f); };
  const auto matrix = [&](index_t rows, index_t columns) { return o.parameter(type, {rows, columns}, 0.2f); };
  const auto low_rank = [&, rank = rank, C = C](bool biased) {
    return rwkv7::low_rank_weights{matrix(C, rank), matrix(rank, D), biased ? vector(D) : rwkv7::weights<1>{}};
  };
  rwkv7::layer_weights p;
  for (auto* w : {&p.ln1_weight, &p.ln1_bias, &p.ln2_weight, &p.ln2_bias, &p.ffn.x_k}) *w = vector(C);
  for (auto* w : {&p.att.x_r, &p.att.x_w, &p.att.x_k, &p.att.x_v, &p.att.x_a, &p.att.x_g}) *w = vector(C);
  for (auto* w : {&p.att.k_k, &p.att.k_a, &p.att.ln_x_weight, &p.att.ln_x_bias}) *w = vector(D);
  for (auto* w : {&p.att.receptance, &p.att.key, &p.att.value}) *w = matrix(D, C);
  for (auto* w : {&p.att.w, &p.att.a, &p.att.v}) *w = low_rank(true);
  p.att.g = low_rank(false);
  p.att.output = matrix(C, D);
  p.att.r_k = matrix(H, N);
  p.ffn.key = matrix(F, C);
  p.ffn.value = matrix(C, F);

  const rwkv7::dims d{.C = C, .H = H, .N = N};
  const rwkv7::sequences seq = rwkv7::dense{B, T};
  const auto in = o.in({B, T, C});
  const auto x = o.out({B, T, C}), y = o.out({B, T, C}), first = o.out({B, T, D});
  const auto shift = o.out({B, C}), ffn = o.out({B, C});
  const auto S = o.out({B, H, N, N});
  const rwkv7::layer_state<float> state{
      .att = {.shift = rwkv7::shift_state<float>::in_place(shift), .S = rwkv7::state<float>::in_place(S)},
      .ffn = rwkv7::shift_state<float>::in_place(ffn)};
  const auto att_memory = o.scratch(rwkv7::time_mix_workspace_size<float>(seq, d, p.att));
  const auto ffn_memory = o.scratch(rwkv7::channel_mix_workspace_size<float>(seq, p.ffn));
  const auto all_memory = o.scratch(rwkv7::layer_workspace_size<float>(seq, d, p));

  visit("time_mix", [=](auto& exec) {
    rwkv7::time_mix(exec, seq, d, p.att, rwkv7::time_mix_inputs<float>{.x = in}, y, {.v = first, .produce = true},
                    state.att, rwkv7::workspace(att_memory));
  });
  visit("channel_mix", [=](auto& exec) {
    rwkv7::channel_mix(exec, seq, p.ffn, rwkv7::channel_mix_inputs<float>{.x = in}, y, state.ffn,
                       rwkv7::workspace(ffn_memory));
  });
  visit("layer, the first", [=](auto& exec) {
    rwkv7::layer(exec, seq, d, p, x, {.v = first, .produce = true}, state, rwkv7::workspace(all_memory));
  });
  visit("layer, another",
        [=](auto& exec) { rwkv7::layer(exec, seq, d, p, x, {.v = first}, state, rwkv7::workspace(all_memory)); });

  const rwkv7::dims grouped{.C = C, .H = H, .N = N, .H_kv = H_kv};
  const index_t D_kv = H_kv * N;
  rwkv7::hybrid_layer_weights turned, kept;
  kept.is_attention = true;
  kept.ln1 = kept.ln2 = turned.ln1 = turned.ln2 = vector(C);
  kept.ffn = turned.ffn = {.gate = matrix(F, C), .up = matrix(F, C), .down = matrix(C, F)};
  kept.attention = {
      .q_proj = matrix(D, C), .k_proj = matrix(D_kv, C), .v_proj = matrix(D_kv, C), .o_proj = matrix(C, D)};
  kept.attention.q_bias = vector(D), kept.attention.q_norm = kept.attention.k_norm = vector(N);
  for (auto* w : {&turned.att.w, &turned.att.a, &turned.att.v}) *w = low_rank(true);
  turned.att.g = low_rank(false);
  turned.att.receptance = kept.attention.q_proj, turned.att.output = kept.attention.o_proj;
  turned.att.key = kept.attention.k_proj, turned.att.value = kept.attention.v_proj;
  turned.att.r_k = p.att.r_k;
  const rwkv7::kv_cache<float> cache{o.out({B, H_kv, 11, N}), o.out({B, H_kv, 11, N}), o.positions(B)};
  const auto first_kv = o.out({B, T, D_kv});
  const auto attention_memory = o.scratch(rwkv7::attention_workspace_size<float>(seq, grouped));
  const auto mlp_memory = o.scratch(rwkv7::swiglu_mlp_workspace_size<float>(seq, kept.ffn));
  const auto kept_memory = o.scratch(rwkv7::hybrid_layer_workspace_size<float, rwkv7::cxa076>(seq, grouped, kept));
  const auto turned_memory = o.scratch(rwkv7::hybrid_layer_workspace_size<float, rwkv7::cxa076>(seq, grouped, turned));

  visit("attention", [=](auto& exec) {
    rwkv7::attention(exec, seq, grouped, kept.attention, rwkv7::attention_inputs<float>{.x = in}, y, {},
                     rwkv7::workspace(attention_memory));
  });
  visit("swiglu_mlp", [=](auto& exec) {
    rwkv7::swiglu_mlp(exec, kept.ffn, rwkv7::swiglu_mlp_inputs<float>{.x = in}, y, rwkv7::workspace(mlp_memory));
  });
  visit("hybrid_layer of attention", [=](auto& exec) {
    rwkv7::hybrid_layer<rwkv7::cxa076>(exec, seq, grouped, kept, {}, x, {}, {.att = {}, .cache = cache},
                                       rwkv7::workspace(kept_memory));
  });
  visit("hybrid_layer of time-mix", [=](auto& exec) {
    rwkv7::hybrid_layer<rwkv7::cxa076>(exec, seq, grouped, turned, {}, x, {.v = first_kv, .produce = true},
                                       {.att = state.att, .cache = {}}, rwkv7::workspace(turned_memory));
  });
}

}  // namespace rwkv7_test
