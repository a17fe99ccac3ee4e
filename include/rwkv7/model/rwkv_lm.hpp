// SPDX-License-Identifier: MIT
/// From the tensors of a checkpoint, in RWKV-LM's names, to the sizes and parameters of a model. Nothing is copied.
#pragma once

#include "rwkv7/model/parameter_binder.hpp"

namespace rwkv7::detail {

/// Fills sizes and parameters from a file, or says what is wrong with it.
class rwkv_lm_reader : parameter_binder {
 public:
  rwkv_lm_reader(const variant& v, const tensor_file& file, model_sizes& sizes, model_weights& parameters)
      : parameter_binder(file), variant_(v), sizes_(sizes), parameters_(parameters) {}

  /// `head_size` counts only where there is no r_k to read it from. On a complaint, sizes and parameters are undefined.
  diagnosis read(index_t head_size) {
    for (const auto& [name, type, shape, strides, bytes] : file_.tensors) {
      if (name.find(".ffn.s_emb") != name.npos) complain(name, "belongs to DeepEmbed: this is an RWKV-7a, not an x070");
      if (name.find(".qkv.") != name.npos) complain(name, "belongs to DEA: this is an RWKV-7b, not an x070");
    }
    if (problem_) return problem_;
    const auto count = block_count();
    if (!count) return problem_;
    parameters_.layers.resize(*count);
    bind_all(variant_, parameters_, sizes_);
    if (problem_) return problem_;
    read_sizes(head_size);
    check_extents(variant_, parameters_, sizes_);
    return problem_;
  }

 private:
  void read_sizes(index_t head_size) {
    const auto& first = parameters_.layers.front();
    const std::string at = "blocks.0.att.";
    sizes_.V = parameters_.emb.extent(0);
    sizes_.C = parameters_.emb.extent(1);
    sizes_.layers = static_cast<index_t>(parameters_.layers.size());
    sizes_.F = first.ffn.key.extent(0);
    const auto* r_k = file_.find(at + "r_k");
    const bool told = r_k && r_k->shape.size() == 2;
    sizes_.N = told ? r_k->shape[1] : head_size;
    if (sizes_.N < 1 || sizes_.N > max_head_size)
      return complain(told ? at + "r_k" : "head size", "axis N: got " + std::to_string(sizes_.N) + ", want 1 to " +
                                                           std::to_string(max_head_size) +
                                                           " (define RWKV7_MAX_HEAD_SIZE to compile in more)");
    const index_t D = first.att.receptance.extent(0), D_kv = first.att.key.extent(0);
    sizes_.H = told ? r_k->shape[0] : D / sizes_.N;
    sizes_.H_kv = D_kv / sizes_.N;
    if (!told && D % sizes_.N != 0)
      return complain(at + "receptance.weight",
                      "axis D: got " + std::to_string(D) + ", want a multiple of " + std::to_string(sizes_.N));
    if (sizes_.H_kv < 1 || sizes_.H % sizes_.H_kv != 0)
      complain(at + "key.weight", "axis D_kv: got " + std::to_string(D_kv) + ", want " + std::to_string(sizes_.N) +
                                      " times a divisor of " + std::to_string(sizes_.H));
  }

  const variant& variant_;
  model_sizes& sizes_;
  model_weights& parameters_;
};

}  // namespace rwkv7::detail
