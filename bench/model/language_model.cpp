// SPDX-License-Identifier: MIT
#include "rwkv7/model/language_model.hpp"

#include <numeric>

#include "peers/llama_model.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"
#include "support/options.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

constexpr index_t prompt = 128;  // tokens of a prefill
constexpr index_t steps = 16;    // tokens that are compared with double

/// The model in each of its forms; all rows share it.
struct checkpoint {
  language_model<> ours;
  std::vector<std::byte> memory;
  language_model<x070, double> exact;
  std::shared_ptr<const llama_model_file> theirs;  // empty without the peer
  std::vector<std::int32_t> tokens;                // [prompt]
  buffer<double> logits_exact;                     // [steps, V]

  explicit checkpoint(const options& o)
      : ours(language_model<>::open(o.model)), exact(language_model<x070, double>::open(o.model)) {
    memory.resize(ours.weights_size());
    ours.pack(memory);
    if (!o.model_gguf.empty()) theirs = std::make_shared<const llama_model_file>(o.model_gguf);
    if (theirs && theirs->vocabulary() != V())
      throw peer_error(o.model_gguf + ": vocabulary: got " + std::to_string(theirs->vocabulary()) + ", want " +
                       std::to_string(V()));
    std::uint32_t x = 1;
    for (index_t i = 0; i < prompt; ++i)
      tokens.push_back(static_cast<std::int32_t>((x = x * 1664525u + 1013904223u) % static_cast<std::uint32_t>(V())));
  }
  index_t V() const { return ours.sizes().V; }
  /// Of all matrices that a token is multiplied by; the embedding is none.
  double matrix_elements() const {
    const auto& s = ours.sizes();
    const auto C = static_cast<double>(s.C), D = static_cast<double>(s.H * s.N), F = static_cast<double>(s.F);
    return static_cast<double>(s.layers) * (4 * C * D + 2 * C * F) + C * static_cast<double>(s.V);
  }
  /// Bytes of the parameters without the embedding, of which a token reads one row.
  double bytes() const {
    const double embedding = static_cast<double>(ours.sizes().C) * static_cast<double>(V());
    return static_cast<double>(memory.size()) * matrix_elements() / (matrix_elements() + embedding);
  }
  const buffer<double>& truth() {
    if (!logits_exact.empty()) return logits_exact;
    logits_exact.resize(static_cast<std::size_t>(steps * V()));
    std::vector<std::byte> packed(exact.weights_size());  // some formats' tensors cannot be used in place
    exact.pack(packed);
    std::vector<std::byte> scratch(exact.workspace_size(dense{1, steps}));
    exact.forward(reference_executor{}, dense{1, steps}, {tokens.data(), {1, steps}},
                  {.logits = {logits_exact.data(), {1, steps, V()}}}, {}, workspace(scratch));
    exact = {};
    return logits_exact;
  }
};

template <class Exec>
struct ours_sequence {
  std::shared_ptr<checkpoint> file;
  std::shared_ptr<Exec> exec;
  buffer<float> state, last, logits;
  std::vector<std::byte> scratch;

  ours_sequence(std::shared_ptr<checkpoint> f, std::shared_ptr<Exec> e, index_t most_tokens)
      : file(std::move(f)), exec(std::move(e)) {
    state.resize(static_cast<std::size_t>(file->ours.state_size()));
    last.resize(static_cast<std::size_t>(file->V())), logits.resize(static_cast<std::size_t>(steps * file->V()));
    scratch.resize(file->ours.workspace_size(dense{1, most_tokens}));
  }
  void clear() { std::fill(state.begin(), state.end(), 0.0f); }
  void decode(std::int32_t* tokens, index_t count, bool all_logits = false) {
    language_model_outputs<float> out{.last = {last.data(), {1, file->V()}}};
    if (all_logits) out.logits = {logits.data(), {1, count, file->V()}};
    const view<float, 2> S(state.data(), {1, file->ours.state_size()});
    file->ours.forward(*exec, dense{1, count}, {tokens, {1, count}}, out, {S, S}, workspace(scratch));
  }
};

template <class Exec>
void add_row(const std::shared_ptr<checkpoint>& file, bool whole_prompt, const std::shared_ptr<Exec>& exec) {
  const auto& sizes = file->ours.sizes();
  const auto threads = static_cast<int>(exec->concurrency());
  const std::string name = std::string("model/") + (whole_prompt ? "prefill" : "decode") +
                           "/cpu/T:" + std::to_string(whole_prompt ? prompt : 1) + "/C:" + std::to_string(sizes.C) +
                           "/layers:" + std::to_string(sizes.layers) + "/V:" + std::to_string(sizes.V) +
                           "/threads:" + std::to_string(threads);
  add(name, [file, whole_prompt, exec, threads] {
    // Either side: clears the state and takes the prompt in one call, or goes on by one token. Logits of the last.
    const auto run_of = [file, whole_prompt](const auto& sequence) -> std::function<void()> {
      if (whole_prompt)
        return [file, sequence] {
          sequence->clear();
          sequence->decode(file->tokens.data(), prompt);
        };
      return [file, sequence, t = index_t{0}]() mutable { sequence->decode(file->tokens.data() + t++ % prompt, 1); };
    };
    // Logits of the first `steps` tokens, taken as the row takes them: in one call, or one by one.
    const auto logits_of = [file, whole_prompt](auto& sequence, auto&& row) {
      const auto V = static_cast<std::size_t>(file->V());
      buffer<float> all(static_cast<std::size_t>(steps) * V);
      sequence.clear();
      if (whole_prompt) sequence.decode(file->tokens.data(), steps, true);
      for (index_t t = 0; t < steps; ++t) {
        if (!whole_prompt) sequence.decode(file->tokens.data() + t, 1, true);
        std::copy_n(row(whole_prompt ? t : 0), V, all.begin() + static_cast<std::ptrdiff_t>(t * file->V()));
      }
      return all;
    };
    const auto got = std::make_shared<std::array<buffer<float>, 2>>();
    const auto mine = std::make_shared<ours_sequence<Exec>>(file, exec, prompt);
    const double T = static_cast<double>(whole_prompt ? prompt : 1);
    subject s{.tokens = T,
              .flops = 2 * file->matrix_elements() * T,
              .bytes = file->bytes(),
              .run = run_of(mine),
              .error = [file, mine, logits_of, got] {
                (*got)[0] = logits_of(*mine, [&](index_t t) { return mine->logits.data() + t * file->V(); });
                return max_err((*got)[0], file->truth());
              }};
    if (file->theirs) {
      const auto peer = std::make_shared<llama_sequence>(file->theirs, static_cast<int>(prompt), threads);
      s.rivals.push_back({"llama.cpp", run_of(peer),
                          [file, peer, logits_of, got] {
                            (*got)[1] =
                                logits_of(*peer, [&](index_t t) { return peer->logits(static_cast<std::int32_t>(t)); });
                            return max_err((*got)[1], file->truth());
                          },
                          [peer] { peer->rest(); }});
      s.max_logit_diff = [got] {
        return std::transform_reduce((*got)[0].begin(), (*got)[0].end(), (*got)[1].begin(), 0.0f,
                                     [](float a, float b) { return std::max(a, b); },
                                     [](float a, float b) { return std::abs(a - b); });
      };
    }
    return s;
  });
}

const int registered = [] {
  rows_from_options().push_back([](const options& o) {
    if (o.model.empty()) return;
    const auto file = std::make_shared<checkpoint>(o);
    const auto& one = one_thread();
    const auto& two = two_threads();
    for (const bool whole_prompt : {true, false}) {
      add_row(file, whole_prompt, one);
      add_row(file, whole_prompt, two);
    }
  });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
