// SPDX-License-Identifier: MIT
/// Writes a checkpoint in any of the formats that checkpoint.hpp opens.
#pragma once

#include "rwkv7/model/gguf_writer.hpp"
#include "rwkv7/model/pth_writer.hpp"
#include "rwkv7/model/rename.hpp"
#include "rwkv7/model/rwkv_lm.hpp"
#include "rwkv7/model/safetensors_writer.hpp"
#include "rwkv7/variant/catalogue.hpp"

namespace rwkv7 {

/// What write_checkpoint writes.
enum class checkpoint_format : unsigned char {
  safetensors,  // RWKV-LM's names
  hf,           // a folder with model.safetensors and config.json
  pth,          // RWKV-LM's names
  gguf          // for llama.cpp
};

namespace detail {

/// Ranks of the low-rank maps of block i.
inline std::array<index_t, 4> ranks_of(const model_weights& w, std::size_t i) noexcept {
  const auto& att = w.layers[i].att;
  return {att.w.in.extent(1), att.a.in.extent(1), att.v.in.extent(1), att.g.in.extent(1)};
}

inline nlohmann::ordered_json hf_config(const model_sizes& s, const model_weights& w) {
  const auto [decay, a, v, gate] = ranks_of(w, s.layers > 1 ? 1 : 0);
  return {{"architectures", {"RWKV7ForCausalLM"}},
          {"model_type", "rwkv7"},
          {"vocab_size", s.V},
          {"hidden_size", s.C},
          {"num_hidden_layers", s.layers},
          {"intermediate_size", s.F},
          {"head_dim", s.N},
          {"value_dim", std::vector<index_t>(static_cast<std::size_t>(s.layers), s.H * s.N)},
          {"decay_low_rank_dim", decay},
          {"a_low_rank_dim", a},
          {"v_low_rank_dim", v},
          {"gate_low_rank_dim", gate},
          {"hidden_act", "sqrelu"},
          {"norm_eps", 1e-5},
          {"norm_bias", true},
          {"norm_first", true},
          {"tie_word_embeddings", false}};
}

inline std::vector<gguf_entry> gguf_entries(const model_sizes& s, const model_weights& w,
                                            const std::vector<gguf_entry>& tokenizer) {
  const auto count = [](index_t n) { return static_cast<std::uint32_t>(n); };
  auto [decay, a, v, gate] = ranks_of(w, s.layers > 1 ? 1 : 0);
  if (s.layers == 1) v = a;  // of the copies in block 0
  std::vector<gguf_entry> entries{{"general.architecture", "rwkv7"},
                                  {"rwkv7.vocab_size", count(s.V)},
                                  {"rwkv7.context_length", std::uint32_t{1} << 20},
                                  {"rwkv7.embedding_length", count(s.C)},
                                  {"rwkv7.block_count", count(s.layers)},
                                  {"rwkv7.feed_forward_length", count(s.F)},
                                  {"rwkv7.attention.head_count", std::uint32_t{0}},
                                  {"rwkv7.attention.layer_norm_epsilon", 1e-5f},
                                  {"rwkv7.wkv.head_size", count(s.N)},
                                  {"rwkv7.attention.decay_lora_rank", count(decay)},
                                  {"rwkv7.attention.iclr_lora_rank", count(a)},
                                  {"rwkv7.attention.value_residual_mix_lora_rank", count(v)},
                                  {"rwkv7.attention.gate_lora_rank", count(gate)}};
  if (tokenizer.empty()) entries.push_back({"tokenizer.ggml.model", "none"});
  entries.insert(entries.end(), tokenizer.begin(), tokenizer.end());
  return entries;
}

}  // namespace detail

/// What is wrong with a checkpoint, in RWKV-LM's names, as an x070 model, or nothing.
inline diagnosis validate_checkpoint(const tensor_file& model) {
  model_sizes sizes;
  model_weights parameters;
  return detail::rwkv_lm_reader(x070, model, sizes, parameters).read(64);
}

/// Writes an x070 model, opened by open_checkpoint; each file is complete or not there.
///
/// Values are exact. Types stay what they are, with two exceptions: GGUF has vectors as f32, because llama.cpp wants
/// them so, and blocks of 4, 5 or 8 bits become f32 in every other format. Quantised matrices stay so in .safetensors
/// of RWKV-LM's names; elsewhere they become f32, rounded once. The unused value mix of block 0 stays in
/// RWKV-LM's names only. HF takes models of head size 64 only: at another, its group norm would have another eps.
///   tokenizer    for GGUF: the entries about it, as gguf_vocabulary makes them; empty for none
///   each(bytes)  called as data are written
/// What is wrong with the model or cannot be written is the complaint.
template <class Each>
diagnosis write_checkpoint(const std::filesystem::path& path, const tensor_file& model, checkpoint_format format,
                           const std::vector<gguf_entry>& tokenizer, Each&& each) {
  model_sizes sizes;
  model_weights parameters;
  auto problem = detail::rwkv_lm_reader(x070, model, sizes, parameters).read(64);
  if (problem) return problem;
  if (format == checkpoint_format::hf && sizes.N != 64)
    problem.complain("rwkv7::checkpoint: %s: head size: got %lld, want 64: HF's group norm has another eps elsewhere",
                     detail::shown(path).c_str(), static_cast<long long>(sizes.N));
  if (problem) return problem;
  const auto renamed = detail::from_rwkv_lm(model.tensors, format == checkpoint_format::hf     ? naming::hf
                                                           : format == checkpoint_format::gguf ? naming::gguf
                                                                                               : naming::rwkv_lm)
                           .result();
  switch (format) {
    case checkpoint_format::safetensors:
      return write_safetensors(path, renamed.tensors, {}, each);
    case checkpoint_format::pth:
      return write_pth(path, renamed.tensors, each);
    case checkpoint_format::gguf:
      return write_gguf(path, renamed.tensors, detail::gguf_entries(sizes, parameters, tokenizer), each);
    case checkpoint_format::hf:
      break;
  }
  std::error_code ignored;
  std::filesystem::create_directories(path, ignored);
  problem = write_safetensors(path / "model.safetensors", renamed.tensors, {{"format", "pt"}}, each, false);
  if (problem) return problem;
  whole_file config(path / "config.json");
  const std::string text = detail::hf_config(sizes, parameters).dump(2) + "\n";
  config.write(std::as_bytes(std::span(text)));
  return config.commit();
}

}  // namespace rwkv7
