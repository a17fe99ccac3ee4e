// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// Teachers converted: what is inherited, multiplied, made and dropped, down to the bit, and what is refused.
#include "rwkv7/model/convert_teacher.hpp"

#include <doctest/doctest.h>

#include "rwkv7/model/safetensors_writer.hpp"
#include "support/reported.hpp"
#include "support/small_teacher.hpp"

using namespace rwkv7_test;
using rwkv7::bf16;
using rwkv7::converted_teacher;
using rwkv7::f16;
using rwkv7::index_t;
using rwkv7::linearised;
using rwkv7::projection_multipliers;
using rwkv7::recipe;
using rwkv7::storage;
using rwkv7::stored_tensor;
using rwkv7::teacher_conversion;
using rwkv7::tensor_origin;
using rwkv7::transformer;

namespace {

transformer opened(const small_teacher& from) {
  const temporary_folder folder;  // what is mapped stays
  from.write(folder.file(""));
  return rwkv7::open_transformer(folder.file(""));
}
transformer opened(const teacher_traits& traits) { return opened(small_teacher(traits)); }

/// A tensor of the new model, and where it comes from.
struct found_tensor {
  const stored_tensor* tensor = nullptr;
  tensor_origin origin{};
};
found_tensor find(const converted_teacher& made, const std::string& name) {
  for (std::size_t i = 0; i < made.model.tensors.size(); ++i)
    if (made.model.tensors[i].name == name) return {&made.model.tensors[i], made.origins[i]};
  return {};
}

template <class T>
std::vector<T> values_of(const stored_tensor& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

/// The same names, types, shapes and bits.
bool same(const converted_teacher& a, const converted_teacher& b) {
  return std::equal(a.model.tensors.begin(), a.model.tensors.end(), b.model.tensors.begin(), b.model.tensors.end(),
                    [](const stored_tensor& x, const stored_tensor& y) {
                      return x.name == y.name && x.type == y.type && x.shape == y.shape &&
                             std::equal(x.bytes.begin(), x.bytes.end(), y.bytes.begin(), y.bytes.end());
                    });
}

/// Walks through a new model and expects of it one tensor after the other.
struct expectation {
  const transformer& teacher;
  const converted_teacher& made;
  std::set<std::string> seen{};

  const stored_tensor& one(const std::string& name, const std::vector<index_t>& shape, tensor_origin origin) {
    CAPTURE(name);
    static const stored_tensor none;
    const auto found = find(made, name);
    CHECK(found.tensor);
    if (!found.tensor) return none;
    CHECK(found.tensor->shape == shape);
    CHECK(found.tensor->dense());
    CHECK(found.origin == origin);
    CHECK(seen.insert(name).second);
    return *found.tensor;
  }
  void inherited(const std::string& name, const std::string& from) {
    CAPTURE(from);
    const auto* source = teacher.file.find(from);
    CHECK(source);
    const auto& got = one(name, source->shape, tensor_origin::inherited);
    CHECK(got.bytes.data() == source->bytes.data());
    CHECK(got.bytes.size() == source->bytes.size());
    CHECK(got.type == source->type);
  }
  /// Each element is the one of its type that is nearest to the product; in a tie, the even one.
  void multiplied(const std::string& name, const std::string& from, float m) {
    const auto* source = teacher.file.find(from);
    CHECK(source);
    const auto& got = one(name, source->shape, tensor_origin::multiplied);
    CHECK(got.type == storage::bf16);
    const auto x = values_of<bf16>(*source), y = values_of<bf16>(got);
    CHECK(x.size() == y.size());
    for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
      const double exact = static_cast<double>(x[i]) * static_cast<double>(m);
      const auto off = [&](int step) {
        return std::abs(static_cast<double>(bf16{static_cast<std::uint16_t>(y[i].bits + step)}) - exact);
      };
      if (exact == 0) continue;
      CHECK(off(0) <= off(1));
      CHECK(off(0) <= off(-1));
      CHECK((y[i].bits % 2 == 0 || (off(0) < off(1) && off(0) < off(-1))));
    }
  }
  void zeros(const std::string& name, const std::vector<index_t>& shape) {
    const auto& got = one(name, shape, tensor_origin::made);
    CHECK(got.type == storage::f32);
    for (const float x : values_of<float>(got)) CHECK(x == 0);
  }
  void values(const std::string& name, const std::vector<index_t>& shape, const std::vector<float>& want) {
    const auto& got = one(name, shape, tensor_origin::made);
    CHECK(got.type == storage::f32);
    CHECK(values_of<float>(got) == want);
  }
  void low_rank(const std::string& at, const std::string& letter, index_t C, index_t rank, index_t width,
                std::uint64_t seed) {
    const auto name = at + "att." + letter;
    zeros(name + "1", {C, rank});
    values(name + "2", {rank, width}, rwkv7::initial_factor(rank, width, seed, name + "2"));
  }
  void nothing_else() {
    CHECK(made.model.tensors.size() == seen.size());
    CHECK(made.origins.size() == seen.size());
  }
};

/// Of teachers in `opened` with four layers, D 24, D_kv 12, C 16.
void check_model(const teacher_traits& traits, const teacher_conversion& how, const projection_multipliers& m,
                 index_t first) {
  const auto teacher = opened(traits);
  const auto made = rwkv7::convert_teacher(teacher, how);
  CHECK(made);
  expectation e{teacher, made};
  const bool old = how.target == linearised::all_076;
  const index_t m_w = how.published == recipe::latest ? 256 : 32, D = 24, D_kv = 12, C = 16;
  e.inherited("emb.weight", "model.embed_tokens.weight");
  e.inherited("ln_out.weight", "model.norm.weight");
  if (!traits.tied) e.inherited("head.weight", "lm_head.weight");
  for (index_t i = 0; i < 4; ++i) {
    const auto at = "blocks." + std::to_string(i) + ".", from = "model.layers." + std::to_string(i) + ".";
    e.inherited(at + "ln1.weight", from + "input_layernorm.weight");
    e.inherited(at + "ln2.weight", from + "post_attention_layernorm.weight");
    for (const std::string part : {"gate", "up", "down"})
      e.inherited(at + "ffn." + part + ".weight", from + "mlp." + part + "_proj.weight");
    if (traits.qk_norm) {
      e.inherited(at + "att.ln_r.weight", from + "self_attn.q_norm.weight");
      e.inherited(at + "att.ln_k.weight", from + "self_attn.k_norm.weight");
    }
    const bool attention = std::count(how.attention_layers.begin(), how.attention_layers.end(), i) > 0;
    const auto projection = [&](const char letter, const std::string& to, float by) {
      const std::string name = std::string(1, letter) + "_proj";
      for (const std::string kind : {".weight", ".bias"}) {
        if (kind == ".bias" && traits.biases.find(letter) == traits.biases.npos) continue;
        const auto source = from + "self_attn." + name + kind;
        if (attention)
          e.inherited(at + "att." + name + kind, source);
        else if (by == 1)
          e.inherited(at + "att." + to + kind, source);
        else
          e.multiplied(at + "att." + to + kind, source, by);
      }
    };
    projection('q', "receptance", m.r);
    projection('k', "key", m.k);
    projection('v', "value", m.v);
    projection('o', "output", m.o);
    if (attention) continue;
    const auto values = rwkv7::initial_vectors(how.target, {.C = C, .H = 4, .N = 6, .H_kv = 2}, i, 4);
    e.values(at + "att.w0", {1, 1, D}, values.w0);
    e.values(at + "att.a0", {1, 1, D}, values.a0);
    e.values(at + "att.r_k", {4, 6}, values.r_k);
    e.low_rank(at, "w", C, m_w, D, how.seed);
    e.low_rank(at, "a", C, 32, D, how.seed);
    e.low_rank(at, "g", C, m_w, D, how.seed);
    if (i == first) continue;
    e.values(at + "att.v0", {1, 1, old ? D : D_kv}, values.v0);
    e.low_rank(at, "v", C, 32, old ? D : D_kv, how.seed);
    if (old) continue;
    e.values(at + "att.k0", {1, 1, D_kv}, values.k0);
    e.low_rank(at, "k", C, 32, D_kv, how.seed);
  }
  e.nothing_else();
}

std::string complaint(const transformer& teacher, const teacher_conversion& how) {
  converted_teacher made;
  const auto text = reported([&] { made = rwkv7::convert_teacher(teacher, how); });
  CHECK(static_cast<bool>(made) == text.empty());
  const auto start = "rwkv7::convert_teacher: " + teacher.file.name + ": ";
  return text.starts_with(start) ? text.substr(start.size()) : text;
}

}  // namespace

TEST_CASE("every tensor of every target") {
  using enum linearised;
  const projection_multipliers of_076{0.5f, 0.4f, 0.3f, 0.5f}, usual{1, 1, 0.3f, 0.5f}, latest{0.5f, 0.5f, 0.3f, 0.5f};
  check_model({}, {.target = all_076}, of_076, 0);
  check_model({.biases = "qkv", .tied = true}, {.target = all_076, .seed = 5}, of_076, 0);
  check_model({.qk_norm = true}, {.target = all_076}, usual, 0);
  check_model({.qk_norm = true}, {.target = all_079, .seed = 1}, usual, 0);
  check_model({.biases = "qkvo"}, {.target = all_079, .published = recipe::latest}, latest, 0);
  check_model({.biases = "qkvo"}, {.target = hybrid_079, .attention_layers = {3}}, usual, 0);
  check_model({.biases = "o", .qk_norm = true}, {.target = hybrid_079, .attention_layers = {0, 2}}, usual, 1);
  check_model({}, {.target = hybrid_079, .attention_layers = {0, 1, 2}, .published = recipe::latest}, latest, 3);
  check_model({.biases = "qkv"}, {.target = all_079, .multipliers = projection_multipliers{-2, 1, 0, 0.1f}},
              {-2, 1, 0, 0.1f}, 0);
}

TEST_CASE("ranks are counted in the width of attention, and the report says which") {
  // 1.7 · 1024^0.6 = 108.8, 0.35 · 1024^0.8 = 89.6, 1.8 · 32 = 57.6, 1.3 · 32 = 41.6
  const auto teacher = opened({.layers = 2, .C = 64, .H = 16, .N = 64});
  const auto made = rwkv7::convert_teacher(teacher, {.target = linearised::all_079});
  CHECK(made.ranks.w == 96);
  CHECK(made.ranks.a == 64);
  CHECK(made.ranks.v == 32);
  CHECK(made.ranks.k == 32);
  CHECK(made.ranks.g == 96);
  CHECK(find(made, "blocks.1.att.w2").tensor->shape == std::vector<index_t>{96, 1024});
  CHECK(find(made, "blocks.1.att.k2").tensor->shape == std::vector<index_t>{32, 128});
}

TEST_CASE("products in other types: f32 and f16 rounded once, too large ones refused") {
  const projection_multipliers m{0.3f, 3, 1, 1};
  const teacher_conversion how{.target = linearised::all_079, .multipliers = m};
  {
    const auto teacher = opened({.dtype = "F32"});
    const auto made = rwkv7::convert_teacher(teacher, how);
    const auto x = values_of<float>(teacher.layers[2].q.weight);
    const auto y = values_of<float>(*find(made, "blocks.2.att.receptance.weight").tensor);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(y[i] == x[i] * 0.3f);
  }
  small_teacher from({.dtype = "F16"});
  auto& bytes = from["model.layers.1.self_attn.k_proj.weight"].bytes;
  // 30000 · 3 is too large; an infinity is what it was.
  for (const auto& [value, refused] :
       {std::pair{30000.0f, true}, {-30000.0f, true}, {HUGE_VALF, false}, {20000.0f, false}}) {
    const auto x = f16::from_float(value);
    std::memcpy(bytes.data() + 6, &x, sizeof x);
    const auto teacher = opened(from);
    CHECK(complaint(teacher, how) == (refused ? "model.layers.1.self_attn.k_proj.weight: an element times its "
                                                "multiplier is too large for F16"
                                              : ""));
    if (refused) continue;
    const auto made = rwkv7::convert_teacher(teacher, how);
    CHECK(values_of<f16>(*find(made, "blocks.1.att.key.weight").tensor)[3].to_float() == value * 3);
  }
}

TEST_CASE("a bf16 product is not rounded by way of float") {
  // 5.6e-9 above 1.01953125, which lies between two bf16 and is the nearest float.
  const auto x = bf16::from_float(1.0078125f);
  const float m = 0x1.02fa0cp+0f;
  CHECK(bf16::from_float(x.to_float() * m).to_float() == 1.015625f);
  small_teacher from;
  from["model.layers.0.self_attn.q_proj.weight"].bytes.replace(0, 2, reinterpret_cast<const char*>(&x), 2);
  const auto teacher = opened(from);
  const auto made = rwkv7::convert_teacher(teacher, {.multipliers = projection_multipliers{m, 1, 1, 1}});
  const auto y = values_of<bf16>(*find(made, "blocks.0.att.receptance.weight").tensor)[0];
  CHECK(y.to_float() == 1.0234375f);
}

TEST_CASE("fused projections give the bits of split ones") {
  for (const char* biases : {"", "qkvo"}) {
    const auto fused = opened({.biases = biases, .fused = true}), split = opened({.biases = biases});
    for (const auto& how : {teacher_conversion{.target = linearised::all_076},
                            teacher_conversion{.target = linearised::hybrid_079, .attention_layers = {1}}})
      CHECK(same(rwkv7::convert_teacher(fused, how), rwkv7::convert_teacher(split, how)));
  }
}

TEST_CASE("a seed gives the same bits, another one others, in second factors alone") {
  const auto teacher = opened(teacher_traits{});
  const auto of = [&](std::uint64_t seed) { return rwkv7::convert_teacher(teacher, {.seed = seed}); };
  const auto a = of(7), again = of(7), b = of(8);
  CHECK(same(a, again));
  for (std::size_t i = 0; i < a.model.tensors.size(); ++i) {
    const auto &x = a.model.tensors[i], &y = b.model.tensors[i];
    const bool factor = x.name.ends_with("2") && a.origins[i] == tensor_origin::made;
    CHECK(std::equal(x.bytes.begin(), x.bytes.end(), y.bytes.begin(), y.bytes.end()) == !factor);
  }
  // Nor does a layer's depend on what other layers are.
  const auto hybrid =
      rwkv7::convert_teacher(teacher, {.target = linearised::hybrid_079, .attention_layers = {1}, .seed = 7});
  CHECK(values_of<float>(*find(a, "blocks.2.att.g2").tensor) ==
        values_of<float>(*find(hybrid, "blocks.2.att.g2").tensor));
  CHECK(values_of<float>(*find(a, "blocks.2.att.g2").tensor) != values_of<float>(*find(a, "blocks.3.att.g2").tensor));
}

TEST_CASE("config.json says what tensors cannot, then what the teacher's said") {
  const auto hybrid = opened({.qk_norm = true});
  auto made = rwkv7::convert_teacher(hybrid, {.target = linearised::hybrid_079, .attention_layers = {1, 3}});
  CHECK(made.architecture == "hxa079");
  CHECK(made.config.dump() ==
        R"({"rwkv_architecture":"hxa079","transformer_layers":[1,3],"rwkv_layers":[0,2],"enable_qk_norm":true,)"
        R"("nope_in_transformer":true,"nope_in_rwkv":false,"num_key_value_heads":2,"head_dim":6,)"
        R"("tie_word_embeddings":false,"model_type":"qwen3","hidden_act":"silu","vocab_size":11,"hidden_size":16,)"
        R"("intermediate_size":20,"num_hidden_layers":4,"num_attention_heads":4,"rms_norm_eps":1e-06,)"
        R"("rope_theta":1000000.0,"rope_scaling":null,"eos_token_id":[1,2]})");
  CHECK(made.settings == std::vector<std::string>{"architectures"});
  made = rwkv7::convert_teacher(hybrid, {.target = linearised::all_076});
  CHECK(made.architecture == "cxa076r");
  CHECK(made.config["rwkv_architecture"] == "cxa076r");
  CHECK(made.config["rwkv_gate"] == "sigmoid");
  CHECK(made.config["nope_in_rwkv"] == true);
  CHECK(made.config["enable_qk_norm"] == true);

  small_teacher from({.tied = true});
  for (const char* key : {"head_dim", "num_key_value_heads"}) from.config.erase(key);
  from.config["num_attention_heads"] = 4;
  from.config["rwkv_architecture"] = "x";
  from.config["rope_scaling"] = {{"type", "yarn"}};
  from.config["partial_rotary_factor"] = 0.75;
  for (const char* name : {"q", "k", "v", "o"})
    for (const char* layer : {"0", "1", "2", "3"}) {
      const auto weight = std::string("model.layers.") + layer + ".self_attn." + name + "_proj.weight";
      from.remove(weight);
      from.add(weight, {16, 16});
    }
  from.add("model.rotary_emb.inv_freq", {2});
  from.add("lm_head.weight", {11, 16});
  const auto tied = opened(from);
  made = rwkv7::convert_teacher(tied, {.target = linearised::all_076});
  CHECK(made.architecture == "cxa076");
  CHECK(made.config["rwkv_architecture"] == "cxa076");
  CHECK(made.config["transformer_layers"].dump() == "[]");
  CHECK(made.config["rwkv_layers"].dump() == "[0,1,2,3]");
  CHECK(made.config["head_dim"] == 4);
  CHECK(made.config["num_key_value_heads"] == 4);
  CHECK(made.config["tie_word_embeddings"] == true);
  CHECK(!made.config.contains("rope_scaling"));
  CHECK(made.settings == std::vector<std::string>{"architectures", "rope_scaling", "partial_rotary_factor"});
  CHECK(made.dropped.size() == 2);
  CHECK(made.dropped[0].name == "lm_head.weight");
  CHECK(made.dropped[1].name == "model.rotary_emb.inv_freq");
  CHECK(!find(made, "head.weight").tensor);
  CHECK(rwkv7::convert_teacher(tied, {.target = linearised::all_079}).config["rwkv_architecture"] == "cxa079");
}

TEST_CASE("what is written is read again, tensor by tensor") {
  const temporary_folder folder;
  const auto teacher = opened({.biases = "qkv"});
  const auto made = rwkv7::convert_teacher(teacher, {.target = linearised::all_079});
  CHECK(!rwkv7::write_safetensors(folder.file("m.safetensors"), made.model.tensors, {}, [](std::size_t) {}));
  const auto file = rwkv7::open_checkpoint(folder.file("m.safetensors"));
  CHECK(file.tensors.size() == made.model.tensors.size());
  for (const auto& tensor : made.model.tensors) {
    const auto* read = file.find(tensor.name);
    CHECK(read);
    CHECK(read->shape == tensor.shape);
    CHECK(std::equal(read->bytes.begin(), read->bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
  }
}

TEST_CASE("options that do not fit") {
  using enum linearised;
  const auto teacher = opened(teacher_traits{});
  CHECK(complaint({}, {}) == "layers: got 0, want 1 or more");
  CHECK(complaint(teacher, {.target = hybrid_079}) == "attention_layers: got none, want some: without, it is a cxa079");
  for (const auto target : {all_076, all_079})
    CHECK(complaint(teacher, {.target = target, .attention_layers = {1}}) ==
          "attention_layers: got 1, want none: only hxa079 has some");
  const auto hybrid = [&](std::vector<index_t> list) {
    return complaint(teacher, {.target = hybrid_079, .attention_layers = std::move(list)});
  };
  CHECK(hybrid({-1}) == "attention_layers: got -1, want 0 to 3");
  CHECK(hybrid({1, 4}) == "attention_layers: got 4, want 0 to 3");
  CHECK(hybrid({2, 1}) == "attention_layers: got 1 after 2, want ascending layers");
  CHECK(hybrid({1, 1}) == "attention_layers: got 1 after 1, want ascending layers");
  CHECK(hybrid({0, 1, 2, 3}) == "attention_layers: got all 4 layers, want one that is not");
  CHECK(complaint(teacher, {.target = all_076, .published = recipe::latest}) ==
        "recipe: got latest, want original: cxa076 has no other");
  for (const float m : {HUGE_VALF, std::nanf("")})
    for (auto multipliers : {projection_multipliers{m, 1, 1, 1}, {1, m, 1, 1}, {1, 1, m, 1}, {1, 1, 1, m}})
      CHECK(complaint(teacher, {.multipliers = multipliers}) == "multipliers: got what is not finite");
}

TEST_CASE("teachers that do not fit") {
  const auto odd = opened({.N = 5});
  CHECK(complaint(odd, {.target = linearised::all_079}) == "head size: got 5, want an even one, for rope");
  CHECK(complaint(odd, {.target = linearised::hybrid_079, .attention_layers = {1}}) ==
        "head size: got 5, want an even one, for rope");
  CHECK(complaint(odd, {.target = linearised::all_076}) == "");
  for (const std::string key : {"rope_theta", "rms_norm_eps"}) {
    small_teacher from;
    for (const char* value : {"null", "0", "-1", "\"1\"", "[]"}) {
      from.config[key] = nlohmann::json::parse(value);
      CHECK(complaint(opened(from), {}) == "config.json: " + key + ": want a number above 0");
    }
    from.config.erase(key);
    CHECK(complaint(opened(from), {}) == "config.json: " + key + ": is missing");
    CHECK(complaint(opened(from), {.target = linearised::all_076}) ==
          (key == "rope_theta" ? "" : "config.json: rms_norm_eps: is missing"));
  }
}
