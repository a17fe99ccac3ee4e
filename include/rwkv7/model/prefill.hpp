// SPDX-License-Identifier: MIT
/// A long prompt in several calls, so that a program can show how far it is, and stop.
#pragma once

#include <concepts>

#include "rwkv7/model/language_model.hpp"

namespace rwkv7 {

/// Feeds `tokens` to the model, `chunk` of them per call, and returns how many of each sequence it has fed.
///
///   tokens  [B, T]  read
///   chunk   1 or more; at multiples of 32 the result is bitwise that of one call
///   out     .last [B, V] of the last tokens, overwritten by the last call; .logits [B, n, V] and .hidden [B, n, C]
///   with
///           n ≥ min(chunk, T), of the tokens of one call in their first rows, until the next call overwrites them
///   state   [B, state_size()]  carried on in place: whenever prefill ends, what was fed is in it and nothing else
///   memory  model.workspace_size(dense{B, min(chunk, T)}) bytes, overwritten
///   after   after(fed) when each call is done; if it returns false, prefill stops, and the rest can be fed from there.
///           It may return nothing
///
/// Errors: rwkv7::error before anything is written, also for a token that only a later call would meet; where
/// exceptions are off it then returns 0. What `after` throws is passed on. Allocates nothing. Exactness: as forward.
template <variant V, class T, executor Exec, std::invocable<index_t> After>
index_t prefill(const language_model<V, T>& model, Exec&& exec, const view<const std::int32_t, 2>& tokens,
                index_t chunk, const std::type_identity_t<language_model_outputs<compute_type<T>>>& out,
                const std::type_identity_t<view<compute_type<T>, 2>>& state, workspace memory, After&& after) {
  const index_t B = tokens.extent(0), all = tokens.extent(1), most = chunk < all ? chunk : all;
  const auto carried_on = carried<compute_type<T>, 2>::in_place(state);
  const auto rows = [](const view<compute_type<T>, 3>& buffer, index_t count) {
    return buffer ? slice(buffer, 1, 0, count) : buffer;
  };

  checker check("prefill");
  check.require(static_cast<bool>(model), "layers", 0, "1 or more")
      .require(chunk > 0, "chunk", chunk, "1 or more")
      .shape("tokens", tokens, {{"B", B}, {"T", all}})
      .shape("state", state, {{"B", B}, {"state", model.state_size()}})
      .require(!out.logits || out.logits.extent(1) >= most, "logits axis T", out.logits.extent(1), "a chunk or more")
      .require(!out.hidden || out.hidden.extent(1) >= most, "hidden axis T", out.hidden.extent(1), "a chunk or more")
      .disjoint("state", state, "tokens", tokens)
      .disjoint("logits", out.logits, "tokens", tokens)
      .disjoint("hidden", out.hidden, "tokens", tokens)
      .disjoint("last", out.last, "tokens", tokens)
      .disjoint("workspace", memory.rest(), "tokens", tokens);
  diagnosis problem = check.result();
  for (index_t b = 0; b < B && !problem; ++b)
    for (index_t t = 0; t < all && !problem; ++t)
      if (const auto id = tokens(b, t); id < 0 || id >= model.sizes().V)
        problem.complain("rwkv7::prefill: tokens[%lld, %lld]: got %lld, want 0 to %lld", static_cast<long long>(b),
                         static_cast<long long>(t), static_cast<long long>(id),
                         static_cast<long long>(model.sizes().V - 1));
  if (!problem)  // the largest call; the others differ in tokens alone
    problem = model.validate_forward(dense{B, most}, slice(tokens, 1, 0, most),
                                     {rows(out.logits, most), out.last, rows(out.hidden, most)}, carried_on, memory);
  if (problem) {
    report(problem);
    return 0;
  }

  for (index_t fed = 0; fed < all;) {
    const index_t count = most < all - fed ? most : all - fed;
    const bool ends = fed + count == all;
    model.forward(exec, dense{B, count}, slice(tokens, 1, fed, count),
                  {rows(out.logits, count), ends ? out.last : view<compute_type<T>, 2>(), rows(out.hidden, count)},
                  carried_on, memory);
    fed += count;
    if constexpr (std::predicate<After, index_t>) {
      if (!after(fed)) return fed;
    } else {
      after(fed);
    }
  }
  return all;
}

}  // namespace rwkv7
