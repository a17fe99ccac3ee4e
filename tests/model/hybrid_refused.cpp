// SPDX-License-Identifier: MIT
// Linearised Transformers that cannot be opened, and states that cannot be run: each named, nothing half done.
#include <doctest/doctest.h>

#include <functional>

#include "rwkv7/exec/reference.hpp"
#include "support/hybrid_model.hpp"
#include "support/read_bytes.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::model_config;
using rwkv7::variant;

namespace {

using tensors = std::vector<file_tensor>;

/// 24 channels, 4 heads of 16, 2 of keys; layer 0 is attention, and neither there nor elsewhere is a norm.
constexpr variant V = [] {
  variant v = rwkv7::cxa079;
  v.qk_norm = false;
  return v;
}();
const family_case& golden() {
  static const family_case only("hxa079_layer_0");
  return only;
}

/// What is said, after the name of the file.
std::string complaint(const std::function<void(tensors&)>& change,
                      const std::function<void(model_config&)>& change_config = {}) {
  auto all = golden().checkpoint();
  auto config = config_of(golden());
  if (change) change(all);
  if (change_config) change_config(config);
  const temporary_file file(safetensors_bytes(all));
  const auto text = complaint_of([&] { language_model<V, double>::open(file.path(), config); });
  const auto start = "rwkv7::language_model: " + rwkv7::detail::shown(file.path()) + ": ";
  return text.starts_with(start) ? text.substr(start.size()) : text;
}
std::string without(const std::string& name) {
  return complaint([&](tensors& all) { std::erase_if(all, [&](const auto& t) { return t.name == name; }); });
}
std::string with(const std::string& name, const std::vector<std::int64_t>& shape) {
  return complaint([&](tensors& all) {
    std::size_t count = 1;
    for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
    std::erase_if(all, [&](const auto& t) { return t.name == name; });
    all.push_back(f32_tensor(name, shape, std::vector<float>(count)));
  });
}
std::string configured(const std::function<void(model_config&)>& change) { return complaint({}, change); }

}  // namespace

TEST_CASE("the model of these tests is right as it is") { CHECK(complaint({}) == "nothing"); }

TEST_CASE("what the config must say, and does not, is named") {
  CHECK(configured([](auto& c) { c.norm_eps = 0; }) == "rms_norm_eps: is not given: tensors do not tell it");
  CHECK(configured([](auto& c) { c.rope_theta = 0; }) == "rope_theta: is not given: tensors do not tell it");
  CHECK(configured([](auto& c) { c.context = 0; }) == "context: got 0, want 1 to 1073741824");
  CHECK(configured([](auto& c) { c.window = 33; }) == "window: got 33, want 0 to context, which is 32");
  CHECK(configured([](auto& c) { c.head_size = 8; }) == "head_dim: got 8, but tensors say 16");
  CHECK(configured([](auto& c) { c.tied_head = true; }) == "nothing");  // a state_dict has both
  CHECK(configured([](auto& c) { c.context = index_t{1} << 31; }) == "context: got 2147483648, want 1 to 1073741824");
  CHECK(configured([](auto& c) { c.time_mix_rope = false; }) == "nope_in_rwkv: got true, but this variant turns");
  CHECK(configured([](auto& c) { c.scaled_rope = true; }) ==
        "rope_scaling: is there, or its like: rotation in parts or scaled is not supported");
  CHECK(configured([](auto& c) { c.qk_norm = true; }) == "enable_qk_norm: got true, but this variant does not norm");
  CHECK(without("head.weight") == "head.weight: is missing, but tie_word_embeddings is false");
}

TEST_CASE("a config that names another variant is refused, whatever its tensors") {
  CHECK(configured([](auto& c) { c.architecture = "hxa079"; }) == "nothing");
  CHECK(configured([](auto& c) { c.architecture = "hxa07c"; }) ==
        "rwkv_architecture: got hxa07c, but this model's variant is another");
  const family_case c07("hxa07c");
  auto config = config_of(c07);
  const temporary_file file(safetensors_bytes(c07.checkpoint()));
  CHECK(language_model<rwkv7::hxa07b>::open(file.path(), config));  // the same tensors
  config.architecture = "hxa07c";
  CHECK(complaint_of([&] {
          language_model<rwkv7::hxa07b>::open(file.path(), config);
        }).ends_with(": rwkv_architecture: got hxa07c, but this model's variant is another"));
}

TEST_CASE("what published files hold beside what is used may be there") {
  const family_case arwkv("arwkv_7b"), b("hxa07b");
  auto tensors = arwkv.checkpoint();
  tensors.push_back(f32_tensor("blocks.1.att.x_g", {1, 1, 32}, std::vector<float>(32)));
  const temporary_file mixed(safetensors_bytes(tensors));
  CHECK(language_model<rwkv7::arwkv>::open(mixed.path(), config_of(arwkv)));
  tensors = b.checkpoint();
  tensors.push_back(f32_tensor("blocks.1.att.k1", {24, 2}, std::vector<float>(48)));
  tensors.push_back(f32_tensor("blocks.1.att.k2", {2, 64}, std::vector<float>(128)));
  const temporary_file more(safetensors_bytes(tensors));
  CHECK(language_model<rwkv7::hxa07b>::open(more.path(), config_of(b)));
}

TEST_CASE("a placement outside the layers, in disorder, or not that of the tensors is refused") {
  const auto placed = [](std::vector<index_t> layers) {
    return configured([&](auto& c) { c.attention_layers = std::move(layers); });
  };
  const std::string want = ", want rising numbers below the 3 layers";
  CHECK(placed({3}) == "transformer_layers: got 3" + want);
  CHECK(placed({-1, 0}) == "transformer_layers: got -1" + want);
  CHECK(placed({0, 0}) == "transformer_layers: got 0" + want);
  CHECK(placed({0, 2}) == "blocks.2.att.q_proj.weight: is missing: transformer_layers names this layer");
  CHECK(placed({1}) == "blocks.0.att.q_proj.weight: is there: transformer_layers does not name this layer");
}

TEST_CASE("residuals without their tensors, and norms the variant does not have, are refused") {
  CHECK(without("blocks.2.att.k0") == "blocks.2.att.k0: is missing");
  CHECK(without("blocks.2.att.v1") == "blocks.2.att.v1: is missing");
  CHECK(with("blocks.1.att.ln_r.weight", {16}) == "blocks.1.att.ln_r.weight: is not a tensor of this model");
  CHECK(with("blocks.1.att.k_k", {1, 1, 64}) == "blocks.1.att.k_k: is not a tensor of this model");
  CHECK(with("blocks.0.att.ln_r.weight", {16}) == "blocks.0.att.ln_k.weight: is missing: the other norm is there");
  CHECK(without("blocks.1.ffn.up.weight") == "blocks.1.ffn.up.weight: is missing");
  CHECK(with("blocks.1.ffn.gate_up.weight", {81, 24}) == "blocks.1.ffn.gate_up.weight: is not a tensor of this model");
}

TEST_CASE("sizes that do not go together are refused") {
  CHECK(with("blocks.0.att.k_proj.weight", {24, 24}) ==
        "blocks.0.att.k_proj.weight: axis D_kv: got 24, want 16 times a divisor of 4");
  CHECK(with("blocks.0.att.k_proj.weight", {48, 24}) ==
        "blocks.0.att.k_proj.weight: axis D_kv: got 48, want 16 times a divisor of 4");
  CHECK(with("blocks.0.att.q_proj.weight", {60, 24}) ==
        "blocks.0.att.q_proj.weight: axis D: got 60, want a multiple of 16");
  CHECK(with("blocks.1.att.key.weight", {64, 24}) == "blocks.1.att.key.weight: axis D_kv: got 64, want 32");
  CHECK(with("blocks.2.att.k0", {1, 1, 64}) == "blocks.2.att.k0: axis D_kv: got 64, want 32");
  CHECK(with("blocks.1.att.value.bias", {31}) == "blocks.1.att.value.bias: axis D_kv: got 31, want 32");
  CHECK(complaint(
            [](tensors& all) {
              for (auto& t : all)
                if (t.name.ends_with(".r_k")) t.shape = {8, 9}, t.bytes.resize(8 * 9 * 4);
            },
            [](auto& c) { c.head_size = 0; }) == "head size: got 9, want an even number, for rope");
}

TEST_CASE("a checkpoint without r_k needs head_dim") {
  const family_case headless("hxa07a");
  auto config = config_of(headless);
  config.head_size = 0;
  variant constexpr no_norm = [] {
    variant v = rwkv7::hxa07a;
    v.qk_norm = false;
    return v;
  }();
  const temporary_file file(safetensors_bytes(headless.checkpoint()));
  CHECK(complaint_of([&] {
          language_model<no_norm>::open(file.path(), config);
        }).ends_with(": head_dim: is not given, and no tensor tells it"));
}

TEST_CASE("attention in 16 bits is refused when the model is opened") {
  const temporary_file file(safetensors_bytes(golden().checkpoint()));
  CHECK(complaint_of([&] {
          language_model<V, rwkv7::bf16>::open(file.path(), config_of(golden()));
        }).ends_with(": layers of attention run in float and double only"));
}

TEST_CASE("a call that needs a state to write, or has another model's, leaves everything as it was") {
  const auto m = open_family<V, double>(golden(), config_of(golden()));
  const auto tokens = some_tokens("refused", 4, m.sizes().V);
  rwkv7::reference_executor exec;
  state_pool<double> state(m, 2), out(m, 2);
  std::vector<double> logits(count_of(4 * m.sizes().V), 7);
  std::vector<std::byte> scratch(m.workspace_size(dense{2, 2}));
  const auto refused = [&](const carried<double, 2>& carried_on) {
    const auto before = out.values;
    const auto text = complaint_of([&] {
      m.forward(exec, dense{2, 2}, view<const std::int32_t, 2>(tokens.data(), {2, 2}),
                {.logits = view<double, 3>(logits.data(), {2, 2, m.sizes().V})}, carried_on, rwkv7::workspace(scratch));
    });
    CHECK(out.values == before);
    CHECK(logits == std::vector<double>(logits.size(), 7));
    return text;
  };
  CHECK(refused({.initial = state.all()}) ==
        "rwkv7::language_model: state.final: got 0, want a state to write: attention keeps keys and values there");
  const std::string another = "want two whole numbers: is this a state of another model?";
  for (const double wrong : {0.5, -1.0, 1e9, std::numeric_limits<double>::quiet_NaN()}) {
    state.values[count_of(m.state_size())] = wrong;
    CHECK(refused({.initial = state.all(), .final = out.all()}) ==
          "rwkv7::language_model: state.initial: position in slot: got 1, " + another);
  }
}

TEST_CASE("a published config.json says all that is needed") {
  const temporary_file file(R"({"rwkv_architecture": "hxa079", "transformer_layers": [0], "enable_qk_norm": false,
    "nope_in_transformer": true, "head_dim": 16, "rms_norm_eps": 1e-06, "rope_theta": 10000, "rope_scaling": null,
    "sliding_window": null, "use_sliding_window": false, "tie_word_embeddings": false, "hidden_size": 24})");
  model_config config;
  CHECK(rwkv7::read_config(file.path(), config));
  CHECK(config.architecture == "hxa079");
  CHECK(config.attention_layers == std::vector<index_t>{0});
  CHECK(config.qk_norm == false);
  CHECK_FALSE(config.attention_rope);
  const auto from_json = open_family<V, double>(golden(), config);
  CHECK(from_json.sizes().attention == 1);
  CHECK(from_json.sizes().context == 4096);
}
