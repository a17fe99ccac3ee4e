// SPDX-License-Identifier: MIT
#include "rwkv7/model/language_model.hpp"

#include <unistd.h>

#include <cctype>
#include <numeric>

#include "model/synthetic.hpp"
#include "peers/llama_model.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/huge_pages.hpp"
#include "rwkv7/model/quantise.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"
#include "support/options.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

constexpr index_t longest = 1024;  // tokens of a prefill
constexpr index_t steps = 16;      // tokens that are compared with double

/// A file that is gone when it is no longer needed.
class temporary_gguf {
 public:
  explicit temporary_gguf(const std::string& name)
      : path_((std::filesystem::temp_directory_path() /
               ("rwkv7_bench_" + std::to_string(getpid()) + "_" + name + ".gguf"))
                  .string()) {}
  temporary_gguf(const temporary_gguf&) = delete;
  ~temporary_gguf() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The weights that every form of the model is made of.
class original {
 public:
  explicit original(const options& o) {
    if (o.model.empty())
      made_ = std::make_unique<synthetic_model>(*o.shape);
    else
      opened_ = open_checkpoint(o.model);
    const auto sizes = language_model<>::from({.name = file().name, .tensors = file().tensors}).sizes();
    V_ = sizes.V;
    std::uint32_t x = 1;
    for (index_t i = 0; i < longest; ++i)
      tokens.push_back(static_cast<std::int32_t>((x = x * 1664525u + 1013904223u) % static_cast<std::uint32_t>(V_)));
  }
  const tensor_file& file() const { return made_ ? made_->file() : opened_; }
  /// Logits [steps, V] in double.
  const buffer<double>& truth() {
    if (!logits_.empty()) return logits_;
    logits_.resize(static_cast<std::size_t>(steps * V_));
    auto exact = language_model<x070, double>::from({.name = file().name, .tensors = file().tensors});
    std::vector<std::byte> packed(exact.weights_size());  // some formats' tensors cannot be used in place
    exact.pack(packed);
    std::vector<std::byte> scratch(exact.workspace_size(dense{1, steps}));
    exact.forward(reference_executor{}, dense{1, steps}, {tokens.data(), {1, steps}},
                  {.logits = {logits_.data(), {1, steps, V_}}}, {}, workspace(scratch));
    return logits_;
  }
  /// For the rival.
  const std::string& gguf() {
    if (!gguf_) {
      gguf_ = std::make_unique<temporary_gguf>("original");
      const auto problem = write_checkpoint(gguf_->path(), file(), checkpoint_format::gguf, {}, [](std::size_t) {});
      if (problem) throw std::runtime_error(problem.message());
    }
    return gguf_->path();
  }

  std::vector<std::int32_t> tokens{};  // [longest]

 private:
  tensor_file opened_;
  std::unique_ptr<synthetic_model> made_;
  std::unique_ptr<temporary_gguf> gguf_;
  buffer<double> logits_;
  index_t V_ = 0;
};

/// The model in one type, on both sides; all its rows share it.
struct checkpoint {
  std::shared_ptr<original> from;
  std::string type;  // of the large matrices
  language_model<> ours;
  huge_page_memory memory;
  std::shared_ptr<const llama_model_file> theirs;  // empty without the peer

  /// `wanted`: absent: as the file has it.
  checkpoint(std::shared_ptr<original> o, const std::optional<dtype>& wanted) : from(std::move(o)) {
    const auto& file = from->file();
    renamed_tensors changed;
    if (wanted) changed = quantise(file, *wanted, *wanted, [](const quantised_matrix&) {});
    ours = language_model<>::from({.name = file.name, .tensors = wanted ? changed.tensors : file.tensors});
    type = wanted ? name_of(*wanted) : std::string(traits_of(file.find("head.weight")->type).name);
    std::transform(type.begin(), type.end(), type.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    memory = huge_page_memory(ours.weights_size());
    ours.pack(memory.bytes());
    if (!llama()) return;
    std::unique_ptr<temporary_gguf> gguf;
    if (wanted) {
      gguf = std::make_unique<temporary_gguf>(type);
      quantise_gguf(from->gguf(), gguf->path(), llama_type(*wanted));
    }
    theirs = std::make_shared<const llama_model_file>(gguf ? gguf->path() : from->gguf());
  }
  static llama_ftype llama_type(dtype t) {
    if (t == dtype::f16) return llama_ftype::f16;
    if (t == dtype::bf16) return llama_ftype::bf16;
    return t == dtype::int8 || t == dtype::int8_rows ? llama_ftype::q8_0 : llama_ftype::q4_0;
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
    const auto& emb = *from->file().find("emb.weight");
    return static_cast<double>(memory.bytes().size() - emb.bytes.size());
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
    scratch.resize(file->ours.workspace_size(dense{1, std::max(most_tokens, steps)}));
  }
  void clear() { std::fill(state.begin(), state.end(), 0.0f); }
  void decode(std::int32_t* tokens, index_t count, bool all_logits = false) {
    language_model_outputs<float> out{.last = {last.data(), {1, file->V()}}};
    if (all_logits) out.logits = {logits.data(), {1, count, file->V()}};
    const view<float, 2> S(state.data(), {1, file->ours.state_size()});
    file->ours.forward(*exec, dense{1, count}, {tokens, {1, count}}, out, {S, S}, workspace(scratch));
  }
};

/// A prefill of T tokens, or, T = 1, a decode step.
template <class Exec>
void add_row(const std::shared_ptr<checkpoint>& file, index_t T, const std::shared_ptr<Exec>& exec) {
  const auto& sizes = file->ours.sizes();
  const auto threads = static_cast<int>(exec->concurrency());
  const bool prefill = T > 1;
  const std::string name = std::string("model/") + (prefill ? "prefill" : "decode") + "/cpu/" + file->type +
                           "/T:" + std::to_string(T) + "/C:" + std::to_string(sizes.C) +
                           "/layers:" + std::to_string(sizes.layers) + "/V:" + std::to_string(sizes.V) +
                           "/threads:" + std::to_string(threads);
  add(name, [file, T, prefill, exec, threads] {
    auto* const tokens = file->from->tokens.data();
    // Either side: clears the state and takes the prompt in one call, or goes on by one token. Logits of the last.
    const auto run_of = [=](const auto& sequence) -> std::function<void()> {
      if (prefill)
        return [=] {
          sequence->clear();
          sequence->decode(tokens, static_cast<std::int32_t>(T));
        };
      return [=, t = index_t{0}]() mutable { sequence->decode(tokens + t++ % longest, 1); };
    };
    // Logits of the first `steps` tokens, taken as the row takes them: in one call, or one by one.
    const auto logits_of = [=](auto& sequence, auto&& row) {
      const auto V = static_cast<std::size_t>(file->V());
      buffer<float> all(static_cast<std::size_t>(steps) * V);
      sequence.clear();
      if (prefill) sequence.decode(tokens, steps, true);
      for (index_t t = 0; t < steps; ++t) {
        if (!prefill) sequence.decode(tokens + t, 1, true);
        std::copy_n(row(prefill ? t : 0), V, all.begin() + static_cast<std::ptrdiff_t>(t * file->V()));
      }
      return all;
    };
    const auto got = std::make_shared<std::array<buffer<float>, 2>>();
    const auto mine = std::make_shared<ours_sequence<Exec>>(file, exec, T);
    subject s{.tokens = static_cast<double>(T),
              .flops = 2 * file->matrix_elements() * static_cast<double>(T),
              .bytes = file->bytes(),
              .run = run_of(mine),
              .error = [file, mine, logits_of, got] {
                (*got)[0] = logits_of(*mine, [&](index_t t) { return mine->logits.data() + t * file->V(); });
                return max_err((*got)[0], file->from->truth());
              }};
    if (file->theirs) {
      const auto peer = std::make_shared<llama_sequence>(file->theirs, static_cast<int>(std::max(T, steps)), threads);
      s.rivals.push_back({"llama.cpp", run_of(peer),
                          [file, peer, logits_of, got] {
                            (*got)[1] =
                                logits_of(*peer, [&](index_t t) { return peer->logits(static_cast<std::int32_t>(t)); });
                            return max_err((*got)[1], file->from->truth());
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
    if (o.model.empty() && !o.shape) return;
    const auto from = std::make_shared<original>(o);
    auto types = o.model_types;
    if (types.empty()) types.emplace_back();
    for (const auto& type : types) {
      const auto file = std::make_shared<checkpoint>(from, type);
      for (const index_t T : {index_t{1}, index_t{128}, longest}) {
        if (T == longest && type && is_quantised(*type)) continue;  // products of whole rows: as 128 tokens
        add_row(file, T, one_thread());
        add_row(file, T, two_threads());
      }
    }
  });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
