// SPDX-License-Identifier: MIT
/// The gated feed-forward block of Transformers, which linearised models keep.
#pragma once

#include "rwkv7/core/workspace.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/swiglu.hpp"

namespace rwkv7 {

/// Parameters, with the names and shapes of Transformers (`layers.i.mlp`). Of a fused gate_up [2 F, C] the gate is the
/// upper half.
struct swiglu_mlp_weights {
  weights<2> gate{}, up{}, down{};  // [F, C], [F, C], [C, F]
};

/// Operands of swiglu_mlp.
template <class T>
struct swiglu_mlp_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, C], normalised
};

/// The activations of one call, in the caller's workspace.
template <class T>
struct swiglu_mlp_buffers {
  view<T, 3> gate{}, up{};  // [B, T, F]
};

/// Lays out the activations of one call; on a counting workspace it only measures.
template <class T>
swiglu_mlp_buffers<T> take_swiglu_mlp_buffers(workspace& memory, const swiglu_mlp_weights& p, index_t B,
                                              index_t tokens) noexcept {
  return {memory.take<T>(B, tokens, p.gate.extent(0)), memory.take<T>(B, tokens, p.gate.extent(0))};
}

/// Bytes of scratch that swiglu_mlp needs for as many tokens.
template <class T>
std::size_t swiglu_mlp_workspace_size(const sequences& seq, const swiglu_mlp_weights& p) noexcept {
  workspace counting;
  take_swiglu_mlp_buffers<T>(counting, p, seq.batch(), seq.tokens());
  return counting.required();
}

/// What is wrong with a call of swiglu_mlp, or nothing.
template <class T>
diagnosis validate_swiglu_mlp(const swiglu_mlp_weights& p, const swiglu_mlp_inputs<T>& in,
                              const std::type_identity_t<view<T, 3>>& y, const workspace& memory) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), C = in.x.extent(2), F = p.gate.extent(0);
  const auto scratch = memory.rest();
  return checker("swiglu_mlp")
      .matrix("gate", p.gate, {{"F", F}, {"C", C}})
      .matrix("up", p.up, {{"F", F}, {"C", C}})
      .matrix("down", p.down, {{"C", C}, {"F", F}})
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", C}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"C", C}})
      .writable("y", y)
      .disjoint("y", y, "x", in.x)
      .scratch(memory.remaining(), swiglu_mlp_workspace_size<T>(dense{B, tokens}, p))
      .disjoint("workspace", scratch, "x", in.x)
      .disjoint("workspace", scratch, "y", y)
      .result();
}

/// One feed-forward block; tokens do not know each other.
///
///   y = down (silu(gate x) ⊙ up x)
///
///   x       [B, T, C]  read; normalised
///   y       [B, T, C]  overwritten; must not overlap x
///   memory  swiglu_mlp_workspace_size<T>(dense{B, T}, p) bytes, overwritten
///
/// Errors: rwkv7::error before anything is written. That output and scratch share no memory with the parameters is not
/// checked. Cost: 6 C F flops per token. Allocates nothing. Exactness: as its operations.
template <executor Exec, class T>
void swiglu_mlp(Exec&& exec, const swiglu_mlp_weights& p, const swiglu_mlp_inputs<T>& in,
                std::type_identity_t<view<T, 3>> y, workspace memory) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_swiglu_mlp(p, in, y, memory); }))
    return report(problem);
  const auto z = take_swiglu_mlp_buffers<T>(memory, p, in.x.extent(0), in.x.extent(1));
  detail::prechecked inside(exec);
  linear(inside, linear_inputs<T>{.x = in.x, .weight = p.gate}, z.gate);
  linear(inside, linear_inputs<T>{.x = in.x, .weight = p.up}, z.up);
  swiglu(inside, swiglu_inputs<T>{.gate = z.gate, .up = z.up}, z.gate);
  linear(inside, linear_inputs<T>{.x = z.gate, .weight = p.down}, y);
}

}  // namespace rwkv7
