// SPDX-License-Identifier: MIT
/// Calls of language_model::forward with memory of their own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "rwkv7/model/language_model.hpp"
#include "support/model_instances.hpp"
#include "support/pattern.hpp"

namespace rwkv7_test {

using rwkv7::carried;
using rwkv7::index_t;
using rwkv7::language_model;
using rwkv7::sequences;
using rwkv7::view;

inline std::size_t count_of(index_t n) { return static_cast<std::size_t>(n); }

/// The state slots of a model as a vector.
template <class T>
struct state_pool {
  index_t slots, size;
  std::vector<T> values;

  template <rwkv7::variant V, class U>
  state_pool(const language_model<V, U>& model, index_t n)
      : slots(n), size(model.state_size()), values(count_of(slots * size)) {}
  view<T, 2> all() { return {values.data(), {slots, size}}; }
  carried<T, 2> in_place() { return carried<T, 2>::in_place(all()); }
  std::vector<T> slot(index_t i) const { return {values.begin() + i * size, values.begin() + (i + 1) * size}; }
};

/// Parameters in memory of their own, as programs have them: sums of ffn.value then have another order.
template <rwkv7::variant V, class T>
class packed_parameters {
 public:
  explicit packed_parameters(language_model<V, T>& model) : memory_(model.weights_size()) { model.pack(memory_); }
  packed_parameters(const packed_parameters&) = delete;
  packed_parameters& operator=(const packed_parameters&) = delete;

 private:
  std::vector<std::byte> memory_;
};

template <class T>
struct model_results {
  std::vector<T> logits;  // [B, T, V]
  std::vector<T> last;    // [sequences, V]
};

/// [B, T] token ids in [0, vocabulary), the same on every machine.
inline std::vector<std::int32_t> some_tokens(std::string_view name, index_t count, index_t vocabulary) {
  const pattern_stream stream(name);
  std::vector<std::int32_t> tokens;
  for (index_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(stream.u24(i) % vocabulary));
  return tokens;
}

/// One call that asks for everything.
template <rwkv7::variant V, class T, class Exec, class Real = rwkv7::compute_type<T>>
model_results<Real> forward(const language_model<V, T>& model, Exec& exec, const sequences& seq,
                            const std::vector<std::int32_t>& tokens, const carried<Real, 2>& state) {
  const index_t B = seq.batch(), length = seq.tokens(), vocabulary = model.sizes().V;
  model_results<Real> out{std::vector<Real>(count_of(B * length * vocabulary)),
                          std::vector<Real>(count_of(seq.count() * vocabulary))};
  std::vector<std::byte> scratch(model.workspace_size(seq));
  model.forward(exec, seq, view<const std::int32_t, 2>(tokens.data(), {B, length}),
                {.logits = view<Real, 3>(out.logits.data(), {B, length, vocabulary}),
                 .last = view<Real, 2>(out.last.data(), {seq.count(), vocabulary})},
                state, rwkv7::workspace(scratch));
  return out;
}

/// One sequence, fed in calls of `chunk` tokens: the logits of all its tokens.
template <rwkv7::variant V, class T, class Exec, class Real = rwkv7::compute_type<T>>
std::vector<Real> prefill(const language_model<V, T>& model, Exec& exec, const std::vector<std::int32_t>& tokens,
                          index_t chunk, state_pool<Real>& state) {
  std::vector<Real> logits;
  for (std::size_t at = 0; at < tokens.size(); at += count_of(chunk)) {
    const std::vector<std::int32_t> part(
        tokens.begin() + static_cast<std::ptrdiff_t>(at),
        tokens.begin() + static_cast<std::ptrdiff_t>(std::min(tokens.size(), at + count_of(chunk))));
    const auto out =
        forward(model, exec, rwkv7::dense{1, static_cast<index_t>(part.size())}, part, state.in_place()).logits;
    logits.insert(logits.end(), out.begin(), out.end());
  }
  return logits;
}

/// The likeliest continuation of one sequence whose last logits are the end of `logits`.
template <rwkv7::variant V, class T, class Exec>
std::vector<std::int32_t> greedy(const language_model<V, T>& model, Exec& exec, std::vector<T> logits,
                                 std::size_t count, state_pool<T>& state) {
  std::vector<std::int32_t> found;
  while (true) {
    const auto row = logits.end() - model.sizes().V;
    found.push_back(static_cast<std::int32_t>(std::max_element(row, logits.end()) - row));
    if (found.size() == count) return found;
    logits = forward(model, exec, rwkv7::dense{1, 1}, {found.back()}, state.in_place()).last;
  }
}

/// A strided view's elements in row-major order.
template <class T, int Rank>
std::vector<std::remove_const_t<T>> elements(const view<T, Rank>& v) {
  std::vector<std::remove_const_t<T>> values;
  for (index_t i = 0; i < v.extent(0); ++i)
    if constexpr (Rank == 1) {
      values.push_back(v(i));
    } else {
      const auto inner = elements(v[i]);
      values.insert(values.end(), inner.begin(), inner.end());
    }
  return values;
}

}  // namespace rwkv7_test
