// SPDX-License-Identifier: MIT
/// The three schemes by which RWKV-7 tensors are named and laid out.
///
/// HF and GGUF store low-rank matrices transposed; GGUF also flattens r_k, stacks the six mixing vectors, and fills the
/// unused value mix of block 0 with copies.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "rwkv7/model/tensor.hpp"

namespace rwkv7 {

/// RWKV-LM (.pth, and .safetensors made from it), HF's flash-linear-attention, llama.cpp.
enum class naming : unsigned char { rwkv_lm, hf, gguf };

namespace detail {

/// How a parameter is laid out.
enum class layout : unsigned char {
  plain,     // the same everywhere
  deep,      // a vector, [1, 1, C] in RWKV-LM, [C] elsewhere
  deep_hf,   // [1, 1, C] in RWKV-LM and HF
  low_rank,  // a matrix, transposed in HF and GGUF
  heads      // r_k: [H, N], flat in GGUF
};

/// One parameter's names after the block's prefix, or whole.
struct parameter_name {
  std::string_view rwkv_lm, hf, gguf;
  layout how = layout::plain;

  std::string_view in(naming scheme) const noexcept {
    return scheme == naming::hf ? hf : scheme == naming::gguf ? gguf : rwkv_lm;
  }
};

/// Outside the blocks.
inline constexpr parameter_name model_names[] = {
    {"emb.weight", "model.embeddings.weight", "token_embd.weight"},
    {"blocks.0.ln0.weight", "model.layers.0.pre_norm.weight", "token_embd_norm.weight"},
    {"blocks.0.ln0.bias", "model.layers.0.pre_norm.bias", "token_embd_norm.bias"},
    {"ln_out.weight", "model.norm.weight", "output_norm.weight"},
    {"ln_out.bias", "model.norm.bias", "output_norm.bias"},
    {"head.weight", "lm_head.weight", "output.weight"},
};

/// After "blocks.3.", "model.layers.3." or "blk.3.". GGUF has the mixing vectors in one tensor, see stacked_mix.
inline constexpr parameter_name block_names[] = {
    {"ln1.weight", "attn_norm.weight", "attn_norm.weight"},
    {"ln1.bias", "attn_norm.bias", "attn_norm.bias"},
    {"ln2.weight", "ffn_norm.weight", "attn_norm_2.weight"},
    {"ln2.bias", "ffn_norm.bias", "attn_norm_2.bias"},
    {"att.x_r", "attn.x_r", "", layout::deep_hf},
    {"att.x_w", "attn.x_w", "", layout::deep_hf},
    {"att.x_k", "attn.x_k", "", layout::deep_hf},
    {"att.x_v", "attn.x_v", "", layout::deep_hf},
    {"att.x_a", "attn.x_a", "", layout::deep_hf},
    {"att.x_g", "attn.x_g", "", layout::deep_hf},
    {"att.w0", "attn.w_lora.lora.2.bias", "time_mix_w0.weight", layout::deep},
    {"att.w1", "attn.w_lora.lora.0.weight", "time_mix_w1.weight", layout::low_rank},
    {"att.w2", "attn.w_lora.lora.2.weight", "time_mix_w2.weight", layout::low_rank},
    {"att.a0", "attn.a_lora.lora.2.bias", "time_mix_a0.weight", layout::deep},
    {"att.a1", "attn.a_lora.lora.0.weight", "time_mix_a1.weight", layout::low_rank},
    {"att.a2", "attn.a_lora.lora.2.weight", "time_mix_a2.weight", layout::low_rank},
    {"att.v0", "attn.v_lora.lora.2.bias", "time_mix_v0.weight", layout::deep},
    {"att.v1", "attn.v_lora.lora.0.weight", "time_mix_v1.weight", layout::low_rank},
    {"att.v2", "attn.v_lora.lora.2.weight", "time_mix_v2.weight", layout::low_rank},
    {"att.g1", "attn.g_lora.lora.0.weight", "time_mix_g1.weight", layout::low_rank},
    {"att.g2", "attn.g_lora.lora.2.weight", "time_mix_g2.weight", layout::low_rank},
    {"att.k_k", "attn.k_k", "time_mix_k_k.weight", layout::deep},
    {"att.k_a", "attn.k_a", "time_mix_k_a.weight", layout::deep},
    {"att.r_k", "attn.r_k", "time_mix_r_k.weight", layout::heads},
    {"att.receptance.weight", "attn.r_proj.weight", "time_mix_receptance.weight"},
    {"att.key.weight", "attn.k_proj.weight", "time_mix_key.weight"},
    {"att.value.weight", "attn.v_proj.weight", "time_mix_value.weight"},
    {"att.output.weight", "attn.o_proj.weight", "time_mix_output.weight"},
    {"att.ln_x.weight", "attn.g_norm.weight", "time_mix_ln.weight"},
    {"att.ln_x.bias", "attn.g_norm.bias", "time_mix_ln.bias"},
    {"ffn.x_k", "ffn.x_k", "channel_mix_lerp_k.weight", layout::deep},
    {"ffn.key.weight", "ffn.key.weight", "channel_mix_key.weight"},
    {"ffn.value.weight", "ffn.value.weight", "channel_mix_value.weight"},
};

/// The mixing vectors as rows of one tensor, in this order; the last is not there where there is no gate. Old HF files
/// have it too.
inline constexpr std::string_view stacked_mix_hf = "attn.x_x", stacked_mix_gguf = "time_mix_lerp_fused.weight";
inline constexpr std::array<std::string_view, 6> stacked_mix{"att.x_r", "att.x_w", "att.x_k",
                                                             "att.x_v", "att.x_a", "att.x_g"};

constexpr std::string_view block_prefix(naming scheme) noexcept {
  return scheme == naming::hf ? "model.layers." : scheme == naming::gguf ? "blk." : "blocks.";
}

/// "blocks.12.att.w1" in two: 12 and "att.w1"; nothing where the name is no block's.
struct block_name {
  std::size_t block;
  std::string_view rest;
};
inline std::optional<block_name> split_block(naming scheme, std::string_view name) noexcept {
  const auto prefix = block_prefix(scheme);
  if (!name.starts_with(prefix)) return {};
  name.remove_prefix(prefix.size());
  std::size_t block = 0, digits = 0;
  for (; digits < name.size() && digits < 9 && name[digits] >= '0' && name[digits] <= '9'; ++digits)
    block = 10 * block + static_cast<std::size_t>(name[digits] - '0');
  if (digits == 0 || digits == name.size() || name[digits] != '.') return {};
  return block_name{block, name.substr(digits + 1)};
}

}  // namespace detail

/// The scheme the tensors are named by, from those outside the blocks.
inline naming naming_of(const tensor_file& file) noexcept {
  if (file.find("token_embd.weight")) return naming::gguf;
  return file.find("model.embeddings.weight") ? naming::hf : naming::rwkv_lm;
}

}  // namespace rwkv7
