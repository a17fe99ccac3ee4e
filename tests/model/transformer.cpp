// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// Transformers' checkpoints: what is found in them, and what is wrong with others.
#include "rwkv7/model/transformer.hpp"

#include <doctest/doctest.h>

#include "support/reported.hpp"
#include "support/small_teacher.hpp"

using namespace rwkv7_test;
using rwkv7::transformer;

namespace {

/// A teacher in a folder.
struct place {
  temporary_folder folder{};

  explicit place(const small_teacher& from, bool parts = false) { from.write(folder.file(""), parts); }
  std::filesystem::path path() const { return folder.file(""); }
};

std::string complaint_after(const std::string& start, const std::string& text) {
  return text.starts_with(start) ? text.substr(start.size()) : text;
}

/// What is said about a teacher, after its folder's name.
std::string complaint(const small_teacher& from) {
  const place p(from);
  transformer opened;
  const auto text = reported([&] { opened = rwkv7::open_transformer(p.path()); });
  CHECK(!opened);
  return complaint_after("rwkv7::transformer: " + rwkv7::detail::shown(p.path()) + ": ", text);
}

/// What is said where config.json has this value for this key; "" is none.
std::string with(const std::string& key, const std::string& value, teacher_traits traits = {}) {
  small_teacher from(traits);
  if (value.empty())
    from.config.erase(key);
  else
    from.config[key] = nlohmann::json::parse(value);
  return complaint(from);
}

bool same(const rwkv7::stored_tensor& a, const rwkv7::stored_tensor& b) {
  return a.type == b.type && a.shape == b.shape && a.strides == b.strides &&
         std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end());
}
bool same(const rwkv7::transformer_linear& a, const rwkv7::transformer_linear& b) {
  return same(a.weight, b.weight) && a.bias.has_value() == b.bias.has_value() && (!a.bias || same(*a.bias, *b.bias));
}

}  // namespace

TEST_CASE("sizes, and every tensor where it is in the file") {
  for (const bool parts : {false, true}) {
    const place p(small_teacher({.biases = "qkv", .qk_norm = true}), parts);
    const auto t = rwkv7::open_transformer(p.path());
    CHECK(t);
    CHECK(t.qk_norm());
    CHECK(t.attention.C == 16);
    CHECK(t.attention.H == 4);
    CHECK(t.attention.H_kv == 2);
    CHECK(t.attention.N == 6);
    CHECK(t.V == 11);
    CHECK(t.F == 20);
    CHECK(t.layers.size() == 4);
    const auto check = [&](const rwkv7::stored_tensor& got, const std::string& name) {
      CHECK(got.name == name);
      const auto* want = t.file.find(name);
      CHECK(want);
      CHECK(got.bytes.data() == want->bytes.data());
      CHECK(got.bytes.size() == want->bytes.size());
    };
    check(t.embedding, "model.embed_tokens.weight");
    check(t.norm, "model.norm.weight");
    check(t.head, "lm_head.weight");
    for (std::size_t i = 0; i < 4; ++i) {
      const auto at = "model.layers." + std::to_string(i) + ".";
      const auto& layer = t.layers[i];
      check(layer.attention_norm, at + "input_layernorm.weight");
      check(layer.mlp_norm, at + "post_attention_layernorm.weight");
      check(layer.q.weight, at + "self_attn.q_proj.weight");
      check(layer.k.weight, at + "self_attn.k_proj.weight");
      check(layer.v.weight, at + "self_attn.v_proj.weight");
      check(layer.o.weight, at + "self_attn.o_proj.weight");
      check(*layer.q.bias, at + "self_attn.q_proj.bias");
      check(*layer.k.bias, at + "self_attn.k_proj.bias");
      check(*layer.v.bias, at + "self_attn.v_proj.bias");
      CHECK(!layer.o.bias);
      check(*layer.q_norm, at + "self_attn.q_norm.weight");
      check(*layer.k_norm, at + "self_attn.k_norm.weight");
      check(layer.gate, at + "mlp.gate_proj.weight");
      check(layer.up, at + "mlp.up_proj.weight");
      check(layer.down, at + "mlp.down_proj.weight");
    }
  }
}

TEST_CASE("fused projections are the split ones") {
  for (const char* biases : {"", "qkvo"}) {
    const place fused(small_teacher({.biases = biases, .fused = true})), split(small_teacher({.biases = biases}));
    const auto a = rwkv7::open_transformer(fused.path()), b = rwkv7::open_transformer(split.path());
    CHECK(a.file.find("model.layers.3.self_attn.qkv_proj.weight"));
    CHECK(!a.file.find("model.layers.3.mlp.up_proj.weight"));
    CHECK(a.layers.size() == b.layers.size());
    for (std::size_t i = 0; i < a.layers.size(); ++i) {
      const auto &x = a.layers[i], &y = b.layers[i];
      CHECK(same(x.q, y.q));
      CHECK(same(x.k, y.k));
      CHECK(same(x.v, y.v));
      CHECK(same(x.o, y.o));
      CHECK(same(x.gate, y.gate));
      CHECK(same(x.up, y.up));
    }
  }
}

TEST_CASE("rows of a matrix that lies by columns") {
  const float values[] = {1, 2, 3, 4, 5, 6};  // three rows, two columns
  const rwkv7::stored_tensor all{"x", rwkv7::storage::f32, {3, 2}, {1, 3}, std::as_bytes(std::span(values))};
  float got[4] = {};
  unpack(rwkv7::detail::rows_of(all, 1, 2), reinterpret_cast<std::byte*>(got));
  CHECK(got[0] == 2);
  CHECK(got[1] == 5);
  CHECK(got[2] == 3);
  CHECK(got[3] == 6);
}

TEST_CASE("a tied head is not looked for, and its copy is needless, as are tables of rope") {
  small_teacher from({.tied = true});
  from.add("model.layers.2.self_attn.rotary_emb.inv_freq", {3});
  for (const bool copied : {false, true}) {
    if (copied) from.add("lm_head.weight", {11, 16});
    const place p(from);
    const auto t = rwkv7::open_transformer(p.path());
    CHECK(t.tied);
    CHECK(t.head.bytes.empty());
    CHECK(t.needless.size() == (copied ? 2 : 1));
    CHECK(t.needless.back().name == "model.layers.2.self_attn.rotary_emb.inv_freq");
  }
}

TEST_CASE("sizes that need not be said: heads of keys as many as queries, and as wide as the model allows") {
  small_teacher from({.H = 4, .H_kv = 4, .N = 4});
  from.config.erase("num_key_value_heads");
  from.config["head_dim"] = nullptr;
  from.config.erase("tie_word_embeddings");
  const place p(from);
  const auto t = rwkv7::open_transformer(p.path());
  CHECK(t.attention.H_kv == 4);
  CHECK(t.attention.N == 4);
  CHECK(!t.tied);
}

TEST_CASE("what config.json must say") {
  const std::string want = "want a whole number from 1 to 2147483647";
  for (const std::string key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"}) {
    CHECK(with(key, "") == "config.json: " + key + ": is missing");
    CHECK(with(key, "null") == "config.json: " + key + ": is missing");
    for (const std::string value : {"0", "-1", "2.0", "\"4\"", "[]", "2147483648", "18446744073709551615", "1e30"})
      CHECK(with(key, value).starts_with("config.json: " + key + ": got "));
  }
  CHECK(with("num_key_value_heads", "\"a\\nb\"") == "config.json: num_key_value_heads: got \"a\\nb\", " + want);
  CHECK(with("num_key_value_heads", "3") ==
        "config.json: num_key_value_heads: got 3, want a divisor of num_attention_heads = 4");
  CHECK(with("head_dim", "0") == "config.json: head_dim: got 0, " + want);
  CHECK(with("head_dim", "1") == "config.json: head_dim: got 1, want 2 or more");
  CHECK(with("head_dim", "65") ==
        "config.json: head_dim: got 260 for all heads, want at most 16 times hidden_size = 16");
  CHECK(with("head_dim", "", {.H = 3, .H_kv = 3}) ==
        "config.json: num_attention_heads: got 3, want a divisor of hidden_size = 16 where there is no head_dim");
  CHECK(with("tie_word_embeddings", "1") == "config.json: tie_word_embeddings: got 1, want true or false");
  const std::string types = ", want llama, mistral, phi3, qwen2, qwen3 or seed_oss";
  CHECK(with("model_type", "") == "config.json: model_type: is missing");
  CHECK(with("model_type", "\"gemma\"") == "config.json: model_type: got \"gemma\"" + types);
  CHECK(with("model_type", "7") == "config.json: model_type: got 7" + types);
  CHECK(with("hidden_act", "\"gelu\"") == "config.json: hidden_act: got \"gelu\", want \"silu\"");
}

TEST_CASE("what tensors must be there") {
  const small_teacher whole({.biases = "q", .qk_norm = true});
  for (const auto& tensor : whole.tensors) {
    auto from = whole;
    from.remove(tensor.name);
    // What the first layer lacks, the others must not have.
    const bool optional = tensor.name == "model.layers.0.self_attn.q_proj.bias";
    CHECK(complaint(from) == (optional ? "model.layers.1.self_attn.q_proj.bias: is not a tensor of this model"
                                       : tensor.name + ": is missing"));
  }
  CHECK(with("num_hidden_layers", "2147483647") == "model.layers.4.input_layernorm.weight: is missing");
  CHECK(with("num_hidden_layers", "3") == "model.layers.3.input_layernorm.weight: is not a tensor of this model");
}

TEST_CASE("what else must not be there") {
  for (const auto& [name, what] : std::vector<std::pair<std::string, std::string>>{
           {"model.layers.0.mlp.up_proj.bias", "is not a tensor of this model"},
           {"model.layers.1.self_attn.k_proj.bias", "is not a tensor of this model"},
           {"model.layers.0.pre_feedforward_layernorm.weight", "is not a tensor of this model"},
           {"lm_head.bias", "is not a tensor of this model"},
           {"model.layers.3.mlp.experts.5.up_proj.weight",
            "belongs to a mixture of experts, which is not supported"}}) {
    small_teacher from;
    from.add(name, {16});
    CHECK(complaint(from) == name + ": " + what);
  }
}

TEST_CASE("shapes that config.json does not want") {
  const auto of = [](const std::string& name, const std::vector<std::int64_t>& shape, teacher_traits traits = {}) {
    small_teacher from(traits);
    from.remove(name);
    from.add(name, shape);
    return complaint_after(name + ": shape: ", complaint(from));
  };
  CHECK(of("model.embed_tokens.weight", {16, 11}) == "got [16,11], want [11,16]");
  CHECK(of("model.layers.2.input_layernorm.weight", {1, 16}) == "got [1,16], want [16]");
  CHECK(of("model.layers.2.self_attn.q_proj.weight", {16, 16}) == "got [16,16], want [24,16]");
  CHECK(of("model.layers.0.self_attn.k_proj.weight", {24, 16}) == "got [24,16], want [12,16]");
  CHECK(of("model.layers.0.self_attn.v_proj.bias", {24}, {.biases = "v"}) == "got [24], want [12]");
  CHECK(of("model.layers.0.self_attn.o_proj.weight", {16, 16}) == "got [16,16], want [16,24]");
  CHECK(of("model.layers.0.self_attn.q_norm.weight", {24}, {.qk_norm = true}) == "got [24], want [6]");
  CHECK(of("model.layers.1.self_attn.qkv_proj.weight", {24, 16}, {.fused = true}) == "got [24,16], want [48,16]");
  CHECK(of("model.layers.1.mlp.gate_up_proj.weight", {20, 16}, {.fused = true}) == "got [20,16], want [40,16]");
  CHECK(of("model.layers.1.mlp.down_proj.weight", {}) == "got [], want [16,20]");
  CHECK(of("lm_head.weight", {10, 16}) == "got [10,16], want [11,16]");
}

TEST_CASE("element types that are no parameters") {
  small_teacher from;
  auto& tensor = from["model.layers.1.mlp.up_proj.weight"];
  tensor.dtype = "I16";
  CHECK(complaint(from) == tensor.name + ": dtype: got I16, want F32, F16 or BF16");
}

TEST_CASE("config.json itself") {
  const auto of = [](const std::string& content) {
    const place p{small_teacher()};
    std::ofstream(p.folder.file("config.json"), std::ios::binary) << content;
    transformer opened;
    const auto text = reported([&] { opened = rwkv7::open_transformer(p.path()); });
    CHECK(!opened);
    return text.substr(text.rfind(": ") + 2);
  };
  for (const char* none : {"", "{", "[]", "7", "{\"a\":1e999}", "{\"a\":\"\xff\"}"})
    CHECK(of(none) == "is not a JSON object");
  const std::string deep(100'000, '[');
  CHECK(of("{\"a\":" + deep) == "is not a JSON object");
  CHECK(of("{\"a\":" + deep + std::string(deep.size(), ']') + "}") == "is not a JSON object");
  CHECK(of(std::string(1'000'001, ' ')) == "is too large");
  CHECK(of("{}") == "is missing");
  const place p{small_teacher()};
  std::filesystem::remove(p.folder.file("config.json"));
  CHECK(reported([&] { rwkv7::open_transformer(p.path()); }).ends_with("config.json: does not exist"));
  CHECK(reported([&] { rwkv7::open_transformer("/no/such"); }) == "rwkv7::file: /no/such: does not exist");
}

TEST_CASE("any value for any key is accepted or refused in words") {
  const small_teacher whole;
  for (const auto& [key, value] : whole.config.items())
    for (const char* other : {"null", "true", "-7", "1", "1.5", "\"text\"", "[1,2]", "{\"a\":[]}"}) {
      auto from = whole;
      from.config[key] = nlohmann::json::parse(other);
      const place p(from);
      transformer opened;
      const auto text = reported([&] { opened = rwkv7::open_transformer(p.path()); });
      CHECK(text.empty() == static_cast<bool>(opened));
    }
}
