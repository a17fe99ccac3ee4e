// SPDX-License-Identifier: MIT
// Names, shapes and order of axes in the three schemes, and the way back.
#include "rwkv7/model/rename.hpp"

#include <doctest/doctest.h>

#include "support/read_bytes.hpp"
#include "support/tiny_checkpoint.hpp"

using namespace rwkv7_test;
using rwkv7::index_t;
using rwkv7::naming;
using rwkv7::storage;
using rwkv7::stored_tensor;

namespace {

/// "name [2,3]" of every tensor.
std::vector<std::string> described(const std::vector<stored_tensor>& tensors) {
  std::vector<std::string> result;
  for (const auto& tensor : tensors) {
    std::string text = tensor.name + " [";
    for (const index_t extent : tensor.shape) text += (text.back() == '[' ? "" : ",") + std::to_string(extent);
    result.push_back(text + "]");
  }
  std::sort(result.begin(), result.end());
  return result;
}

rwkv7::renamed_tensors renamed(tiny_tensors& model, naming to) {
  return rwkv7::detail::from_rwkv_lm(model.file().tensors, to).result();
}

/// Back in RWKV-LM's names.
rwkv7::tensor_file back(const rwkv7::renamed_tensors& tensors, naming from, index_t head_size) {
  rwkv7::tensor_file file{.name = "x", .format = "y", .tensors = tensors.tensors};
  CHECK(!to_rwkv_lm(file, from, head_size));
  return file;
}

const stored_tensor& find(const std::vector<stored_tensor>& tensors, const std::string& name) {
  CAPTURE(name);
  const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
  REQUIRE(at != tensors.end());
  return *at;
}

// V 2, C 4, H 2, N 2, F 3, rank 2: the second of two layers, and what is in none.
const std::vector<std::string> hf_names{
    "lm_head.weight [2,4]",
    "model.embeddings.weight [2,4]",
    "model.layers.0.pre_norm.bias [4]",
    "model.layers.0.pre_norm.weight [4]",
    "model.layers.1.attn.a_lora.lora.0.weight [2,4]",
    "model.layers.1.attn.a_lora.lora.2.bias [4]",
    "model.layers.1.attn.a_lora.lora.2.weight [4,2]",
    "model.layers.1.attn.g_lora.lora.0.weight [2,4]",
    "model.layers.1.attn.g_lora.lora.2.weight [4,2]",
    "model.layers.1.attn.g_norm.bias [4]",
    "model.layers.1.attn.g_norm.weight [4]",
    "model.layers.1.attn.k_a [4]",
    "model.layers.1.attn.k_k [4]",
    "model.layers.1.attn.k_proj.weight [4,4]",
    "model.layers.1.attn.o_proj.weight [4,4]",
    "model.layers.1.attn.r_k [2,2]",
    "model.layers.1.attn.r_proj.weight [4,4]",
    "model.layers.1.attn.v_lora.lora.0.weight [2,4]",
    "model.layers.1.attn.v_lora.lora.2.bias [4]",
    "model.layers.1.attn.v_lora.lora.2.weight [4,2]",
    "model.layers.1.attn.v_proj.weight [4,4]",
    "model.layers.1.attn.w_lora.lora.0.weight [2,4]",
    "model.layers.1.attn.w_lora.lora.2.bias [4]",
    "model.layers.1.attn.w_lora.lora.2.weight [4,2]",
    "model.layers.1.attn.x_a [1,1,4]",
    "model.layers.1.attn.x_g [1,1,4]",
    "model.layers.1.attn.x_k [1,1,4]",
    "model.layers.1.attn.x_r [1,1,4]",
    "model.layers.1.attn.x_v [1,1,4]",
    "model.layers.1.attn.x_w [1,1,4]",
    "model.layers.1.attn_norm.bias [4]",
    "model.layers.1.attn_norm.weight [4]",
    "model.layers.1.ffn.key.weight [3,4]",
    "model.layers.1.ffn.value.weight [4,3]",
    "model.layers.1.ffn.x_k [4]",
    "model.layers.1.ffn_norm.bias [4]",
    "model.layers.1.ffn_norm.weight [4]",
    "model.norm.bias [4]",
    "model.norm.weight [4]",
};
const std::vector<std::string> gguf_names{
    "blk.1.attn_norm.bias [4]",
    "blk.1.attn_norm.weight [4]",
    "blk.1.attn_norm_2.bias [4]",
    "blk.1.attn_norm_2.weight [4]",
    "blk.1.channel_mix_key.weight [3,4]",
    "blk.1.channel_mix_lerp_k.weight [4]",
    "blk.1.channel_mix_value.weight [4,3]",
    "blk.1.time_mix_a0.weight [4]",
    "blk.1.time_mix_a1.weight [2,4]",
    "blk.1.time_mix_a2.weight [4,2]",
    "blk.1.time_mix_g1.weight [2,4]",
    "blk.1.time_mix_g2.weight [4,2]",
    "blk.1.time_mix_k_a.weight [4]",
    "blk.1.time_mix_k_k.weight [4]",
    "blk.1.time_mix_key.weight [4,4]",
    "blk.1.time_mix_lerp_fused.weight [6,1,1,4]",
    "blk.1.time_mix_ln.bias [4]",
    "blk.1.time_mix_ln.weight [4]",
    "blk.1.time_mix_output.weight [4,4]",
    "blk.1.time_mix_r_k.weight [4]",
    "blk.1.time_mix_receptance.weight [4,4]",
    "blk.1.time_mix_v0.weight [4]",
    "blk.1.time_mix_v1.weight [2,4]",
    "blk.1.time_mix_v2.weight [4,2]",
    "blk.1.time_mix_value.weight [4,4]",
    "blk.1.time_mix_w0.weight [4]",
    "blk.1.time_mix_w1.weight [2,4]",
    "blk.1.time_mix_w2.weight [4,2]",
    "output.weight [2,4]",
    "output_norm.bias [4]",
    "output_norm.weight [4]",
    "token_embd.weight [2,4]",
    "token_embd_norm.bias [4]",
    "token_embd_norm.weight [4]",
};

}  // namespace

TEST_CASE("the names and shapes of HF and of llama.cpp") {
  auto model = tiny_model();
  const auto outside_block_0 = [&](naming scheme, const std::string& block_0, const std::string& kept) {
    auto names = described(renamed(model, scheme).tensors);
    std::erase_if(names, [&](const auto& name) { return name.starts_with(block_0) && !name.starts_with(kept); });
    return names;
  };
  CHECK(outside_block_0(naming::hf, "model.layers.0.", "model.layers.0.pre_norm") == hf_names);
  CHECK(outside_block_0(naming::gguf, "blk.0.", "none") == gguf_names);
}

TEST_CASE("there and back, every tensor has the same name, shape and elements") {
  for (const auto type : {storage::f32, storage::f16, storage::bf16}) {
    auto model = tiny_model({.V = 2, .C = 4, .layers = 2, .H = 2, .N = 2, .H_kv = 2, .F = 3}, type);
    for (const auto scheme : {naming::rwkv_lm, naming::hf, naming::gguf}) {
      const auto there = renamed(model, scheme);
      const auto got = back(there, scheme, 2);
      CHECK(described(got.tensors) == described(model.file().tensors));
      for (const auto& want : model.file().tensors) {
        const auto* tensor = got.find(want.name);
        REQUIRE(tensor);
        CAPTURE(want.name);
        const bool vector = want.shape.size() != 2 || want.name.ends_with("r_k");
        CHECK(tensor->type == (scheme == naming::gguf && vector ? storage::f32 : want.type));
        CHECK(rwkv7::detail::widened(*tensor) == rwkv7::detail::widened(want));
      }
    }
  }
}

TEST_CASE("GGUF has vectors as f32, of whatever type and strides they were") {
  const std::vector<rwkv7::bf16> values{rwkv7::bf16::from_float(1), rwkv7::bf16::from_float(2),
                                        rwkv7::bf16::from_float(3), rwkv7::bf16::from_float(4)};
  const auto bytes = std::as_bytes(std::span(values));
  const std::vector<stored_tensor> tensors{{"blocks.1.ln1.bias", storage::bf16, {2}, {2}, bytes},
                                           {"blocks.1.att.x_w", storage::bf16, {1, 1, 2}, {9, 9, 2}, bytes.subspan(2)},
                                           {"blocks.1.att.x_r", storage::bf16, {1, 1, 2}, {9, 9, 1}, bytes},
                                           {"blocks.1.att.r_k", storage::bf16, {2, 2}, {1, 2}, bytes},
                                           {"blocks.1.att.w0", storage::bf16, {1, 1, 2}, {0, 0, 3}, bytes}};
  const auto got = rwkv7::detail::from_rwkv_lm(tensors, naming::gguf).result();
  using floats = std::vector<float>;
  CHECK(described(got.tensors) ==
        std::vector<std::string>{"blk.1.attn_norm.bias [2]", "blk.1.time_mix_lerp_fused.weight [2,1,1,2]",
                                 "blk.1.time_mix_r_k.weight [4]", "blk.1.time_mix_w0.weight [2]"});
  for (const auto& tensor : got.tensors) CHECK(tensor.type == storage::f32);
  CHECK(elements_of<float>(find(got.tensors, "blk.1.attn_norm.bias")) == floats{1, 3});
  CHECK(elements_of<float>(find(got.tensors, "blk.1.time_mix_lerp_fused.weight")) == floats{1, 2, 2, 4});
  CHECK(elements_of<float>(find(got.tensors, "blk.1.time_mix_r_k.weight")) == floats{1, 3, 2, 4});
  CHECK(elements_of<float>(find(got.tensors, "blk.1.time_mix_w0.weight")) == floats{1, 4});
}

TEST_CASE("GGUF fills the value mix of block 0 with copies, which nobody reads") {
  auto model = tiny_model();
  const auto gguf = renamed(model, naming::gguf).tensors;
  for (const char* rest : {"0.weight", "1.weight", "2.weight"})
    CHECK(elements_of<float>(find(gguf, std::string("blk.0.time_mix_v") + rest)) ==
          elements_of<float>(find(gguf, std::string("blk.0.time_mix_a") + rest)));
  CHECK(!back({gguf, {}}, naming::gguf, 2).find("blocks.0.att.v0"));
  // What RWKV-LM has there is not handed on.
  model.add("blocks.0.att.v0", storage::i8, {1});
  CHECK(described(renamed(model, naming::gguf).tensors) == described(gguf));
  CHECK(described(renamed(model, naming::hf).tensors).size() == hf_names.size() + 30);
}

TEST_CASE("mixing vectors in one tensor, as old HF files have them") {
  std::vector<float> values(6 * 3);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto bytes = std::as_bytes(std::span(values));
  for (const std::vector<index_t>& shape : {std::vector<index_t>{6, 3}, {6, 1, 1, 3}, {5, 3}}) {
    rwkv7::tensor_file file{.name = "x", .format = "y"};
    const auto rows = static_cast<std::size_t>(shape[0]);
    file.tensors = {
        {"model.layers.4.attn.x_x", storage::f32, shape, rwkv7::dense_strides(shape), bytes.first(rows * 12)}};
    CHECK(!to_rwkv_lm(file, naming::hf, 0));
    CHECK(file.tensors.size() == rows);
    for (std::size_t i = 0; i < rows; ++i) {
      const auto& tensor = find(file.tensors, std::string("blocks.4.att.x_") + "rwkvag"[i]);
      CHECK(tensor.shape == std::vector<index_t>{1, 1, 3});
      CHECK(elements_of<float>(tensor)[1] == static_cast<float>(3 * i + 1));
    }
  }
  rwkv7::tensor_file seven{.name = "x", .format = "y"};
  seven.tensors = {{"model.layers.4.attn.x_x", storage::f32, {7, 1}, {1, 1}, bytes.first(28)}};
  CHECK(!to_rwkv_lm(seven, naming::hf, 0));
  CHECK(seven.tensors[0].name == "model.layers.4.attn.x_x");  // for the model's reader to refuse
}

TEST_CASE("names that are none of the scheme stay, and two that become one are one too many") {
  using rwkv7::detail::split_block;
  CHECK(split_block(naming::gguf, "blk.12.a.b")->block == 12);
  CHECK(split_block(naming::gguf, "blk.12.a.b")->rest == "a.b");
  for (const char* name : {"blk.", "blk..a", "blk.1", "blk.x.a", "blk.-1.a", "blk.9999999999.a", "blocks.1.a"})
    CHECK(!split_block(naming::gguf, name));

  rwkv7::tensor_file file{.name = "x", .format = "gguf"};
  file.tensors = {{.name = "blk.0.nonsense"}, {.name = "rope_freqs.weight"}};
  CHECK(!to_rwkv_lm(file, naming::gguf, 0));
  CHECK(described(file.tensors) == std::vector<std::string>{"blk.0.nonsense []", "rope_freqs.weight []"});
  file.tensors = {{.name = "blk.0.attn_norm.bias"}, {.name = "blk.00.attn_norm.bias"}};
  CHECK(std::string(to_rwkv_lm(file, naming::gguf, 0).message()) == "rwkv7::gguf: x: blocks.0.ln1.bias: occurs twice");
}
