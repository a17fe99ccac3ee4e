// SPDX-License-Identifier: MIT
// Linearised Transformers with attention layers: states, cuts, names.
#include <doctest/doctest.h>

#include <limits>

#include "rwkv7/exec/reference.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/hybrid_model.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::hxa07b;
using rwkv7::model_config;
using rwkv7::packed;

namespace {

/// Layer 2 of three is attention, with a norm of its own; 24 channels, 4 heads of 16, 2 of keys.
constexpr auto V = hxa07b;
const family_case& golden() {
  static const family_case only("hxa07b");
  return only;
}
template <class T>
language_model<V, T> model(const std::function<void(model_config&)>& change = {}) {
  auto config = config_of(golden());
  if (change) change(config);
  return open_family<V, T>(golden(), config);
}
constexpr index_t vocabulary = 29;

template <class T, class Exec>
void check_cuts(Exec& exec, double most) {
  const auto m = model<T>();
  const auto tokens = some_tokens("hybrid", 45, vocabulary);  // rings of 32 turn over
  state_pool<T> whole(m, 1);
  const auto want = prefill(m, exec, tokens, 45, whole);
  for (const index_t chunk : {1, 7, 32, 44}) {
    CAPTURE(chunk);
    state_pool<T> state(m, 1);
    const auto logits = prefill(m, exec, tokens, chunk, state);
    CHECK(relative_l2(logits, want) <= (chunk == 32 ? 0 : most));  // of cuts at multiples of 32 no bit depends
    CHECK(relative_l2(state.slot(0), whole.slot(0)) <= (chunk == 32 ? 0 : most));
    CHECK(rwkv7::stored_position(state.all().at(0, 0)) == 45);
  }
}

}  // namespace

TEST_CASE("a prompt may be cut into calls anywhere") {
  rwkv7::reference_executor reference;
  check_cuts<double>(reference, 0);
  for_each_cpu_executor([](auto& exec) { check_cuts<float>(exec, 1e-6); });
}

/// The same variant with products that are worth several threads; layer 1 is attention.
language_model<V, float> large_model() {
  const rwkv7::model_sizes s{.V = vocabulary, .C = 256, .layers = 2, .H = 4, .N = 64, .H_kv = 2, .F = 512};
  rwkv7::hybrid_weights shapes;
  shapes.layers.resize(2);
  shapes.layers[1].is_attention = true, shapes.first = 0;
  for (auto* w : {&shapes.layers[0].att.w, &shapes.layers[0].att.a, &shapes.layers[0].att.v, &shapes.layers[0].att.g})
    w->in = rwkv7::weights<2>(nullptr, rwkv7::dtype::f32, {s.C, 32});
  std::vector<file_tensor> tensors;
  rwkv7::for_each_parameter(V, shapes, s, [&](const std::string& name, const auto&, auto axes, rwkv7::presence p) {
    if (p != rwkv7::presence::required) return;
    std::vector<std::int64_t> shape;
    std::int64_t count = 1;
    for (const auto& a : axes) shape.push_back(a.want), count *= a.want;
    const bool matrix = shape.size() == 2;
    tensors.push_back(f32_tensor(name, shape, pattern(name, count, matrix ? 0.0f : 0.5f, matrix ? 0.1f : 0.5f)));
  });
  model_config config;
  config.norm_eps = 1e-6, config.rope_theta = 1e4, config.context = 64;
  const temporary_file file(safetensors_bytes(tensors));
  return language_model<V, float>::open(file.path(), config);
}

TEST_CASE("no bit depends on the number of threads, or on what other sequences hold") {
  const auto m = large_model();
  const auto tokens = some_tokens("threads", 300, vocabulary);
  const std::vector<std::int32_t> bounds{0, 13, 13, 300}, slots{1, 3, 0};
  const auto run = [&](auto& exec, const std::vector<std::int32_t>& ids, float others) {
    state_pool<float> state(m, 4);
    forward(m, exec, dense{4, 3}, some_tokens("before", 12, vocabulary), state.in_place());
    std::fill(state.values.begin() + m.state_size() + 2, state.values.begin() + 2 * m.state_size(), others);  // slot 1
    auto logits = forward(m, exec, packed{bounds, slots}, ids, state.in_place()).logits;
    return std::pair(std::vector<float>(logits.begin() + 13 * vocabulary, logits.end()), state.slot(0));
  };
  auto alone = one_thread();
  const auto want = run(alone, tokens, 0);
  auto others = tokens;
  std::fill_n(others.begin(), 13, 7);
  CHECK(run(alone, others, std::numeric_limits<float>::quiet_NaN()) == want);
  for_each_threading([&](auto& exec) { CHECK(run(exec, tokens, 0) == want); });
}

TEST_CASE("a ring that forgets is a window") {
  rwkv7::reference_executor exec;
  const auto tokens = some_tokens("window", 20, vocabulary);
  const auto windowed = model<double>([](model_config& c) { c.window = 5; });
  const auto forgetful = model<double>([](model_config& c) { c.context = 5; });
  state_pool<double> a(windowed, 1), b(forgetful, 1);
  const auto want = prefill(windowed, exec, tokens, 20, a);
  CHECK(prefill(forgetful, exec, tokens, 20, b) == want);
  state_pool<double> c(forgetful, 1);
  CHECK(prefill(forgetful, exec, tokens, 3, c) == want);
  CHECK(b.slot(0) == c.slot(0));
  const auto all = model<double>();
  state_pool<double> d(all, 1);
  CHECK(relative_l2(prefill(all, exec, tokens, 20, d), want) > 1e-3);  // so a window matters here
}

TEST_CASE("without a state sequences begin afresh, and nothing is kept") {
  rwkv7::reference_executor exec;
  const auto m = model<double>();
  const auto tokens = some_tokens("stateless", 12, vocabulary);
  state_pool<double> state(m, 2);
  const auto want = forward(m, exec, dense{2, 6}, tokens, state.in_place());
  CHECK(forward(m, exec, dense{2, 6}, tokens, carried<double, 2>{}).logits == want.logits);
  // Nothing initial is a fresh state, whatever lies in the final one.
  state_pool<double> other(m, 2);
  std::fill(other.values.begin(), other.values.end(), std::numeric_limits<double>::quiet_NaN());
  CHECK(forward(m, exec, dense{2, 6}, tokens, carried<double, 2>{.final = other.all()}).logits == want.logits);
  const auto next = some_tokens("next", 2, vocabulary);
  CHECK(forward(m, exec, dense{2, 1}, next, other.in_place()).logits ==
        forward(m, exec, dense{2, 1}, next, state.in_place()).logits);
}

TEST_CASE("without a state slots name nothing, and sizes may be asked for whatever they are") {
  rwkv7::reference_executor exec;
  const auto m = model<double>();
  const auto tokens = some_tokens("slots", 12, vocabulary);
  const std::vector<std::int64_t> bounds{0, 7, 12}, wild{-5, std::int64_t{1} << 40}, one{0};
  const auto want = forward(m, exec, packed{bounds}, tokens, carried<double, 2>{}).logits;
  std::vector<std::byte> scratch(m.workspace_size(packed{bounds}));
  for (const auto* slots : {&wild, &one}) {
    CHECK(m.workspace_size(packed{bounds, *slots}) >= scratch.size());
    std::vector<double> logits(want.size());
    const auto text = complaint_of([&] {
      m.forward(exec, packed{bounds, *slots}, view<const std::int32_t, 2>(tokens.data(), {1, 12}),
                {.logits = view<double, 3>(logits.data(), {1, 12, vocabulary})}, {}, rwkv7::workspace(scratch));
    });
    CHECK((logits == want || text.find("workspace") != text.npos));
  }
}

TEST_CASE("to copy a slot is to branch, and a call can go on from one state into others") {
  rwkv7::reference_executor exec;
  const auto m = model<double>();
  const auto prompt = some_tokens("prompt", 9, vocabulary), next = some_tokens("branch", 6, vocabulary);
  state_pool<double> state(m, 3);
  const std::vector<std::int32_t> bounds{0, 9}, slot_1{1};
  forward(m, exec, packed{bounds, slot_1}, prompt, state.in_place());
  std::copy_n(state.all().at(1, 0), m.state_size(), state.all().at(2, 0));
  std::copy_n(state.all().at(1, 0), m.state_size(), state.all().at(0, 0));
  state_pool<double> broadcast(m, 3);
  const view<const double, 2> shared(state.all().at(1, 0), {3, m.state_size()}, {0, 1});
  const auto out = forward(m, exec, dense{3, 2}, next, carried<double, 2>{.initial = shared, .final = broadcast.all()});
  const auto in_place = forward(m, exec, dense{3, 2}, next, state.in_place());
  CHECK(out.logits == in_place.logits);
  CHECK(broadcast.values == state.values);
}

TEST_CASE("a copied snapshot takes back tokens, the ones in the rings too") {
  rwkv7::reference_executor exec;
  const auto m = model<double>([](model_config& c) { c.window = 6, c.context = 9; });
  CHECK(m.snapshot_size() < m.state_size());
  const auto prompt = some_tokens("snapshots", 11, vocabulary), draft = some_tokens("draft", 4, vocabulary),
             right = some_tokens("right", 3, vocabulary);
  state_pool<double> state(m, 1);
  prefill(m, exec, prompt, 11, state);
  auto want_state = state;
  std::vector<double> ring(count_of(4 * m.snapshot_size()));
  const view<double, 3> every(ring.data(), {1, 4, m.snapshot_size()});
  auto carried_on = state.in_place();
  carried_on.every = {every, 0};
  forward(m, exec, dense{1, 4}, draft, carried_on);
  std::copy_n(every.at(0, 0, 0), m.snapshot_size(), state.values.begin());  // one of the four is kept
  const auto got = prefill(m, exec, right, 3, state);
  prefill(m, exec, {draft[0]}, 1, want_state);
  CHECK(got == prefill(m, exec, right, 3, want_state));
}

TEST_CASE("names of Hugging Face, and a fused gate_up, give the same bits") {
  rwkv7::reference_executor exec;
  const auto tokens = some_tokens("names", 8, vocabulary);
  const auto logits_of = [&](const std::vector<file_tensor>& tensors) {
    const temporary_file file(safetensors_bytes(tensors));
    const auto m = language_model<V, float>::open(file.path(), config_of(golden()));
    state_pool<float> state(m, 1);
    return prefill(m, exec, tokens, 8, state);
  };
  const auto want = logits_of(golden().checkpoint());
  std::vector<file_tensor> renamed, fused;
  const auto replace = [](std::string name, const std::string& from, const std::string& to) {
    if (const auto at = name.find(from); at != name.npos) name.replace(at, from.size(), to);
    return name;
  };
  for (auto tensor : golden().checkpoint()) {
    std::string name = tensor.name;
    name = name == "emb.weight" ? "model.embed_tokens.weight" : name == "head.weight" ? "lm_head.weight" : name;
    name = replace(name, "ln_out", "model.norm");
    const bool attention = name.starts_with("blocks.2.");
    name = replace(name, ".att.ln_r", attention ? ".self_attn.q_norm" : ".self_attn.r_norm");
    name = replace(replace(name, ".att.ln_k", ".self_attn.k_norm"), ".att.", ".self_attn.");
    for (const char* part : {"gate", "up", "down"})
      name = replace(name, std::string(".ffn.") + part + ".", std::string(".mlp.") + part + "_proj.");
    name = replace(replace(name, ".ln1.", ".input_layernorm."), ".ln2.", ".post_attention_layernorm.");
    tensor.name = replace(name, "blocks.", "model.layers.");
    renamed.push_back(tensor);
  }
  for (const auto& tensor : golden().checkpoint()) {
    const bool up = tensor.name.ends_with("ffn.up.weight");
    if (tensor.name.ends_with("ffn.gate.weight") || (!up && tensor.name.find("ffn.gate_up") == std::string::npos))
      fused.push_back(tensor);
    if (!up) continue;
    auto& gate = *std::find_if(fused.begin(), fused.end(),
                               [&](const auto& t) { return t.name == replace(tensor.name, ".up.", ".gate."); });
    gate.name = replace(tensor.name, ".up.", ".gate_up.");
    gate.shape[0] *= 2;
    gate.bytes += tensor.bytes;
  }
  CHECK(renamed.front().name != golden().checkpoint().front().name);
  CHECK(logits_of(renamed) == want);
  CHECK(fused.size() + 3 == golden().checkpoint().size());
  CHECK(logits_of(fused) == want);
  for (auto& tensor : renamed) tensor.name = replace("model." + tensor.name, "self_attn.", "self_attn.student_attn.");
  renamed.push_back(f32_tensor("model.model.layers.0.self_attn.student_attn.layer_architecture", {1}, {78.0f}));
  for (auto& tensor : renamed) tensor.name = replace(tensor.name, "model.lm_head", "lm_head");
  CHECK(logits_of(renamed) == want);  // as they are trained
}
