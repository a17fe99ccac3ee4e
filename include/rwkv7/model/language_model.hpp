// SPDX-License-Identifier: MIT
/// A whole language model, of RWKV-7 or of a Transformer turned into it: tokens in, logits out, the state in the
/// caller's memory.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "rwkv7/model/checkpoint.hpp"
#include "rwkv7/model/hybrid_stack.hpp"
#include "rwkv7/model/rwkv_lm_stack.hpp"

namespace rwkv7 {

/// What forward writes; each may be absent. Without any it only advances the state. T is the model's compute type.
template <class T>
struct language_model_outputs {
  view<T, 3> logits{};  // [B, T, V]  of every token
  view<T, 2> last{};    // [sequences, V]  of the last token of each sequence; the row of an empty one is left alone
  view<T, 3> hidden{};  // [B, T, C]  what the head reads, norm(x; ln_out): last_hidden_state where models have one
};

/// The parameters are in the mapped file after open, in the caller's memory after pack. Move-only. forward may be
/// called from several threads at once, each with outputs, state and workspace of its own.
///
/// T is the element type of the activations. With bf16 or f16 they take half the scratch, while everything a caller
/// keeps stays in float: the state, so that its files and pools are those of a model in float, and the logits and
/// hidden rows, which are not rounded: the last layer norm and the head compute in float.
///
/// V.layers says what stands around time-mix (variant/variant.hpp). A linearised Transformer may keep attention in some
/// layers; then the state also holds the keys and values of the last `context` tokens, and T is float or double.
template <variant V = x070, class T = float>
class language_model {
 public:
  /// The element type of outputs and state: float, or double where T is.
  using wide = compute_type<T>;

  /// Empty.
  language_model() = default;

  /// Maps a checkpoint of any format that checkpoint.hpp lists; f32, f16, bf16 and quantised tensors stay what they
  /// are. Linearised Transformers have the names of RWKV-Infer or of Hugging Face; of these the config.json beside them
  /// is read, where there is one.
  ///
  /// Sizes come from the tensors. A vector may be stored as [C] or as [1, 1, C]. Tensors of RWKV-LM's layers that the
  /// variant does not use may be there; in a linearised Transformer that is an error, but for the first layer's
  /// residual maps. Errors: rwkv7::error names file and tensor, or what is missing in the config; where exceptions are
  /// off the result is then empty.
  static language_model open(const std::filesystem::path& path) {
    model_config config;
    if constexpr (V.layers == layer_form::transformer)
      if (const auto beside = config_beside(path); beside && !read_config(*beside, config)) return {};
    return open(path, config);
  }
  /// The same, with this config and no other.
  static language_model open(const std::filesystem::path& path, const model_config& config) {
    auto file = open_checkpoint(path);
    return file ? from(std::move(file), config) : language_model();
  }
  /// The same from an open one, with the names of RWKV-LM, or those of a linearised Transformer.
  static language_model from(tensor_file file, const model_config& config = {}) {
    language_model model;
    if (const auto problem = model.stack_.read(file, config)) {
      report(problem);
      return {};
    }
    model.stack_.for_each([&](const std::string& name, const auto& w, auto&&...) {
      if (w && !is_quantised(w.type()) && !usable_in_place(*file.find(name)) && model.unready_.empty())
        model.unready_ = name;
    });
    model.file_ = std::move(file);
    return model;
  }

  /// False when empty.
  explicit operator bool() const noexcept { return stack_.has_layers(); }
  /// As read from the tensors.
  const model_sizes& sizes() const noexcept { return stack_.sizes(); }
  /// Which layers are attention, rising; none with RWKV-LM's layers.
  std::vector<index_t> attention_layers() const {
    if constexpr (V.layers == layer_form::transformer)
      return stack_.attention_layers();
    else
      return {};
  }

  /// Bytes that pack needs, wherever they start.
  std::size_t weights_size() const {
    workspace counting;
    stack_.for_each([&](const auto&, const auto& w, auto&&...) { take(counting, w); });
    return counting.required();
  }

  /// Copies all parameters into `memory` (fastest: huge_page_memory), each on a multiple of 64 bytes, and closes the
  /// file. Here what the file has transposed gets its place, and what it has in blocks of 4, 5 or 8 bits becomes f32; a
  /// model with such tensors runs only after this. ffn.value is stored by inputs, whose zeros then cost nothing; sums
  /// of its products get another order. The model must not outlive the memory. Errors: rwkv7::error, nothing changed,
  /// when `memory` is too small or holds parameters already.
  void pack(std::span<std::byte> memory) {
    checker check("language_model::pack");
    const std::size_t size = weights_size();
    check.require(static_cast<bool>(*this), "layers", 0, "1 or more")
        .require(memory.size() >= size, "memory bytes", static_cast<index_t>(memory.size()),
                 std::to_string(size).c_str());
    const view<std::byte, 1> all(memory.data(), {static_cast<index_t>(memory.size())});
    stack_.for_each([&](const std::string& name, const auto& w, auto&&...) {
      if (w) check.disjoint("memory", all, "a parameter", stored_bytes(name, w));
    });
    if (check.result()) return report(check.result());
    workspace arena(memory);
    stack_.for_each([&](const std::string& name, auto& w, auto&&...) {
      if (w) w = copied(name, w, take(arena, w).data());
    });
    file_ = {};
    unready_.clear();
  }

  /// Elements in one state slot; model_state.hpp says where what lies.
  index_t state_size() const noexcept { return model_state_size<V>(sizes()); }
  /// Elements in one snapshot of it: as many, without layers of attention.
  index_t snapshot_size() const noexcept { return model_snapshot_size<V>(sizes()); }

  /// Bytes of scratch that forward needs for these sequences. Linearised Transformers take 8 bytes of it for every slot
  /// up to the last one that is named.
  std::size_t workspace_size(const sequences& seq) const noexcept {
    workspace counting, head;
    counting.take<T>(seq.batch(), seq.tokens(), sizes().C);
    head.take<wide>(std::max(seq.batch() * seq.tokens(), seq.count()), sizes().C);
    return counting.required() + std::max(head.required(), stack_.workspace_size(seq));
  }

  /// What is wrong with a call of forward, or nothing.
  diagnosis validate_forward(const sequences& seq, const view<const std::int32_t, 2>& tokens,
                             const language_model_outputs<wide>& out, const carried<wide, 2>& state,
                             workspace memory) const noexcept;

  /// Runs the model over every sequence.
  ///
  ///   x = LN(emb[token]);  x = layer_i(x) for every layer;  hidden = LN(x);  logits = head hidden
  ///
  /// Linearised Transformers have no norm on the embedding, and RMS norms elsewhere.
  ///
  ///   tokens  [B, T]  read; each in [0, V)
  ///   out     .logits [B, T, V], .last [sequences, V] and .hidden [B, T, C] overwritten, where given
  ///   state   [slots, state_size()]  .initial read (absent: zeros), .final overwritten (absent: dropped); may be one
  ///           view, a broadcast .initial starts all sequences from one state. .every [slots, R, snapshot_size()] takes
  ///           the state after each token, in a ring (core/state.hpp): to reject the last k tokens, copy the one before
  ///           them. With attention, .initial needs a .final, and where these are not one view rings are copied
  ///   memory  workspace_size(sequences) bytes, overwritten
  ///
  /// Errors: rwkv7::error before anything is written; parameters that do not lie in the file as kernels want them are
  /// one, until pack. Allocates nothing. Cost: about 2 flops per parameter and token; the head's share only for the
  /// logits asked for. Exactness: D1–D3 bitwise. D4 bitwise with the reference executor; with the cpu executors bitwise
  /// for any other sequences in the call and for splits of T at multiples of 32, elsewhere within 1e-6 relative L2
  /// (2e-4 with matrices in int8, int8_rows or int4: an input on the edge between two integers may fall to either).
  /// With snapshots bitwise what one call per token gives, though the parameters are read once for all T.
  template <executor Exec>
  void forward(Exec&& exec, const sequences& seq, view<const std::int32_t, 2> tokens,
               const language_model_outputs<wide>& out, const carried<wide, 2>& state, workspace memory) const;

 private:
  /// One row of the residual stream as the head takes it.
  void widen(const T* x, wide* y) const noexcept {
    std::transform(x, x + sizes().C, y, [](T value) { return static_cast<wide>(value); });
  }

  /// The logits of the last row of each sequence: gathered, so that they make one product. Empty sequences have none;
  /// they part the others into runs.
  template <class Exec>
  void last_logits(Exec& exec, const sequences& seq, const view<T, 3>& x, const view<wide, 2>& last,
                   workspace memory) const {
    const auto rows = memory.take<wide>(1, seq.count(), sizes().C);
    const auto run_of = [](const auto& all, index_t first, index_t count) -> view<wide, 3> {
      return {all.at(first, 0), {1, count, all.extent(1)}, {0, all.stride(0), all.stride(1)}};
    };
    for (index_t i = 0, first = 0; i <= seq.count(); ++i) {
      if (i < seq.count() && seq[i].length > 0) {
        const auto s = seq[i];
        widen(x.at(s.batch, s.first + s.length - 1, 0), rows.at(0, i, 0));
        continue;
      }
      if (first < i) {
        const auto run = run_of(rows[0], first, i - first);
        stack_.norm(exec, run, run);
        linear(exec, linear_inputs<wide>{.x = run, .weight = stack_.head()}, run_of(last, first, i - first));
      }
      first = i + 1;
    }
  }

  template <int Rank>
  static index_t size_in_bytes(const weights<Rank>& w) noexcept {
    if constexpr (Rank == 2)
      if (is_quantised(w.type())) return static_cast<index_t>(quantised_size(w.type(), w.extent(0), w.extent(1)));
    index_t size = w ? static_cast<index_t>(size_of(w.type())) : 0;
    for (const index_t extent : w.extents()) size *= extent;
    return size;
  }
  /// Where a parameter is now: in the file, or in memory it was packed into.
  template <int Rank>
  view<const std::byte, 1> stored_bytes(const std::string& name, const weights<Rank>& w) const noexcept {
    if (const auto* tensor = file_.find(name))
      return {tensor->bytes.data(), {static_cast<index_t>(tensor->bytes.size())}};
    return {static_cast<const std::byte*>(w.data()), {size_in_bytes(w)}};
  }
  template <int Rank>
  static view<std::byte, 1> take(workspace& memory, const weights<Rank>& w) noexcept {
    return memory.take<std::byte>(size_in_bytes(w));
  }

  /// A parameter copied to `to`, as pack leaves it.
  template <int Rank>
  weights<Rank> copied(const std::string& name, const weights<Rank>& w, std::byte* to) const {
    const bool quantised = is_quantised(w.type()), by_inputs = has_sparse_inputs(name) && !quantised;
    const auto* const tensor = quantised ? nullptr : file_.find(name);
    if (!tensor)
      std::memcpy(to, w.data(), static_cast<std::size_t>(size_in_bytes(w)));
    else if (by_inputs)
      unpack_transposed(*tensor, to);
    else
      unpack(*tensor, to);
    if constexpr (Rank == 2)
      if (by_inputs) return weights<2>(to, w.type(), {{w.extent(1), w.extent(0)}}).transposed();
    return {to, w.type(), w.extents()};
  }

  tensor_file file_;
  std::conditional_t<V.layers == layer_form::transformer, hybrid_stack<V, T>, rwkv_lm_stack<V, T>> stack_;
  std::string unready_;  // a parameter that cannot be used where it lies
};

// Outside the class, so that it is not inline: `extern template` then keeps a program from compiling a whole model in
// more than one place.
template <variant V, class T>
template <executor Exec>
void language_model<V, T>::forward(Exec&& exec, const sequences& seq, view<const std::int32_t, 2> tokens,
                                   const language_model_outputs<wide>& out, const carried<wide, 2>& state,
                                   workspace memory) const {
  if (const auto problem = validate_forward(seq, tokens, out, state, memory)) return report(problem);
  const auto x = memory.take<T>(seq.batch(), seq.tokens(), sizes().C);
  detail::prechecked inside(exec);
  for (index_t b = 0; b < seq.batch(); ++b)
    for (index_t t = 0; t < seq.tokens(); ++t)
      for (index_t c = 0; c < sizes().C; ++c) {
        const double value = stack_.emb()(index_t{tokens(b, t)}, c);
        if constexpr (half_element<T>)
          x(b, t, c) = T::from_float(static_cast<float>(value));  // exact until here
        else
          x(b, t, c) = static_cast<T>(value);
      }
  stack_.run(inside, seq, x, state, memory);
  if (out.last) last_logits(inside, seq, x, out.last, memory);
  if (out.logits || out.hidden) {
    const auto hidden = out.hidden ? out.hidden : memory.take<wide>(seq.batch(), seq.tokens(), sizes().C);
    if constexpr (std::is_same_v<T, wide>) {
      stack_.norm(inside, x, hidden);
    } else {
      for (index_t b = 0; b < seq.batch(); ++b)
        for (index_t t = 0; t < seq.tokens(); ++t) widen(x.at(b, t, 0), hidden.at(b, t, 0));
      stack_.norm(inside, hidden, hidden);
    }
    if (out.logits) linear(inside, linear_inputs<wide>{.x = hidden, .weight = stack_.head()}, out.logits);
  }
}

template <variant V, class T>
diagnosis language_model<V, T>::validate_forward(const sequences& seq, const view<const std::int32_t, 2>& tokens,
                                                 const language_model_outputs<wide>& out, const carried<wide, 2>& state,
                                                 workspace memory) const noexcept {
  const index_t B = seq.batch(), count = seq.count();
  diagnosis problem;
  if (!unready_.empty()) {
    problem.complain("rwkv7::language_model: %s: %s: does not lie in the file as the kernels want it: call pack",
                     file_.name.c_str(), unready_.c_str());
    return problem;
  }
  checker check("language_model");
  check.require(static_cast<bool>(*this), "layers", 0, "1 or more")
      .sequence_list(seq, detail::slots_of(state), state.writes())
      .shape("tokens", tokens, {{"B", B}, {"T", seq.tokens()}});
  if (out.logits)
    check.operand("logits", out.logits, {{"B", B}, {"T", seq.tokens()}, {"V", sizes().V}})
        .writable("logits", out.logits);
  if (out.last) check.operand("last", out.last, {{"sequences", count}, {"V", sizes().V}}).writable("last", out.last);
  if (out.hidden)
    check.operand("hidden", out.hidden, {{"B", B}, {"T", seq.tokens()}, {"C", sizes().C}})
        .writable("hidden", out.hidden);
  if (state.initial)
    check.operand("state.initial", state.initial, {{"slots", state.initial.extent(0)}, {"state", state_size()}});
  if (state.final) {
    const index_t stride = state.final.stride(0);
    check.operand("state.final", state.final, {{"slots", state.final.extent(0)}, {"state", state_size()}})
        .writable("state.final", state.final)
        .require(state.final.extent(0) < 2 || std::abs(stride) >= state_size(), "state.final axis slots stride", stride,
                 "at least state_size()")
        .same_or_disjoint("state.final", state.final, "state.initial", state.initial)
        .disjoint("state.final", state.final, "tokens", tokens);
  }
  const auto& ring = state.every.ring;
  if (ring) {
    // The items of one axis do not touch, and a step along the other passes over all of them.
    const auto nested = [&](int inner, int outer) {
      const index_t step = ring.extent(inner) < 2 ? 0 : std::abs(ring.stride(inner));
      const index_t reach = (ring.extent(inner) - 1) * step + snapshot_size();
      return (ring.extent(inner) < 2 || step >= snapshot_size()) &&
             (ring.extent(outer) < 2 || std::abs(ring.stride(outer)) >= reach);
    };
    check
        .snapshots_of(state, "state.every", "state",
                      {{"slots", ring.extent(0)}, {"R", ring.extent(1)}, {"state", snapshot_size()}})
        .unit_stride("state.every", "state", ring)
        .require(nested(1, 0) || nested(0, 1), "state.every axis R stride", ring.stride(1),
                 "snapshots that do not overlap")
        .disjoint("state.every", ring, "tokens", tokens);
  }
  if (check.result()) return check.result();
  if (problem = stack_.validate_state(seq, state); problem) return problem;

  const std::size_t scratch_size = workspace_size(seq);
  check.scratch(memory.remaining(), scratch_size);
  if (check.result()) return check.result();
  const auto scratch = memory.take<std::byte>(scratch_size - workspace::alignment);
  check.disjoint("workspace", scratch, "tokens", tokens)
      .disjoint("workspace", scratch, "state.initial", state.initial)
      .disjoint("workspace", scratch, "state.final", state.final)
      .disjoint("workspace", scratch, "state.every", ring);
  const auto apart = [&](const char* name, const auto& output) {
    check.disjoint(name, output, "tokens", tokens)
        .disjoint(name, output, "workspace", scratch)
        .disjoint(name, output, "state.initial", state.initial)
        .disjoint(name, output, "state.final", state.final)
        .disjoint(name, output, "state.every", ring);
  };
  apart("logits", out.logits);
  apart("last", out.last);
  apart("hidden", out.hidden);
  check.disjoint("last", out.last, "logits", out.logits)
      .disjoint("hidden", out.hidden, "logits", out.logits)
      .disjoint("hidden", out.hidden, "last", out.last);
  if (check.result()) return check.result();

  for (index_t b = 0; b < B; ++b)
    for (index_t t = 0; t < seq.tokens(); ++t)
      if (const auto id = tokens(b, t); id < 0 || id >= sizes().V) {
        problem.complain("rwkv7::language_model: tokens[%lld, %lld]: got %lld, want 0 to %lld",
                         static_cast<long long>(b), static_cast<long long>(t), static_cast<long long>(id),
                         static_cast<long long>(sizes().V - 1));
        return problem;
      }
  return problem;
}

}  // namespace rwkv7
