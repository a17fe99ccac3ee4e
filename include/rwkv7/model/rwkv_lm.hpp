// SPDX-License-Identifier: MIT
/// From the tensors of a checkpoint, in RWKV-LM's names, to the sizes and parameters of a model. Nothing is copied.
#pragma once

#include <algorithm>
#include <optional>
#include <set>

#include "rwkv7/model/model_weights.hpp"
#include "rwkv7/model/naming.hpp"

namespace rwkv7::detail {

/// Fills sizes and parameters from a file, or says what is wrong with it.
template <variant V>
class rwkv_lm_reader {
 public:
  rwkv_lm_reader(const tensor_file& file, model_sizes& sizes, model_weights& parameters)
      : file_(file), sizes_(sizes), parameters_(parameters) {}

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
    // The first visit binds the tensors, whatever their extents; sizes come from these; the second visit checks.
    std::size_t known = 0;
    for_each_parameter<V>(parameters_, sizes_, [&](const std::string& name, auto& w, const auto&, bool used) {
      const auto* tensor = file_.find(name);
      if (tensor) ++known;
      if (tensor && used) bind(*tensor, w);
      if (!tensor && used) complain(name, "is missing");
    });
    if (known != file_.tensors.size()) name_unknown();
    if (problem_) return problem_;
    read_sizes(head_size);
    for_each_parameter<V>(parameters_, sizes_, [&](const std::string& name, auto& w, const auto& axes, bool used) {
      for (int a = 0; a < static_cast<int>(axes.size()) && used; ++a) {
        const auto& [letter, want] = axes[static_cast<std::size_t>(a)];
        if (w.extent(a) != want)
          complain(name, std::string("axis ") + letter + ": got " + std::to_string(w.extent(a)) + ", want " +
                             std::to_string(want));
      }
    });
    return problem_;
  }

 private:
  /// 1 + the largest i of all "blocks.i."; every smaller i must occur, so a stray number allocates nothing.
  std::optional<std::size_t> block_count() {
    std::set<std::size_t> blocks;
    for (const auto& tensor : file_.tensors)
      if (const auto name = split_block(naming::rwkv_lm, tensor.name)) blocks.insert(name->block);
    std::size_t count = 0;
    for (const std::size_t block : blocks) {
      if (block != count) break;
      ++count;
    }
    if (count > 0 && count == blocks.size()) return count;
    complain("blocks." + std::to_string(count) + ".ln1.weight", "is missing");
    return {};
  }

  /// A vector may have any number of axes of extent 1 before its own: RWKV-LM stores most as (1, 1, C).
  template <int Rank>
  void bind(const stored_tensor& tensor, weights<Rank>& w) {
    const auto quantised = quantised_type(tensor.type);
    if (quantised && !is_quantisable(tensor.name))
      return complain(tensor.name, "dtype: got " + std::string(traits_of(tensor.type).name) +
                                       ", want F32, F16 or BF16: only matrices of linear may be quantised");
    const auto type = quantised ? quantised : unpacked_type(tensor.type);
    if (!type)
      return complain(tensor.name,
                      "dtype: got " + std::string(traits_of(tensor.type).name) + ", want F32, F16 or BF16");
    std::span<const index_t> shape = tensor.shape;
    while (Rank == 1 && shape.size() > 1 && shape.front() == 1) shape = shape.subspan(1);
    if (shape.size() != Rank)
      return complain(tensor.name, "axes: got " + std::to_string(shape.size()) + ", want " + std::to_string(Rank));
    typename weights<Rank>::index_array extents;
    std::copy(shape.begin(), shape.end(), extents.begin());
    for (const index_t extent : extents)
      if (extent < 1) return complain(tensor.name, "extent: got 0, want 1 or more");
    w = weights<Rank>(tensor.bytes.data(), *type, extents);
  }

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

  void name_unknown() {
    std::set<std::string> known;
    for_each_parameter<V>(parameters_, sizes_, [&](const std::string& name, auto&&...) { known.insert(name); });
    for (const auto& tensor : file_.tensors)
      if (!known.contains(tensor.name)) return complain(tensor.name, "is not a tensor of this model");
  }

  void complain(std::string_view tensor, std::string_view what) {
    problem_.complain("rwkv7::language_model: %s: %s: %s", file_.name.c_str(), shown(tensor, 60).c_str(),
                      std::string(what).c_str());
  }

  const tensor_file& file_;
  model_sizes& sizes_;
  model_weights& parameters_;
  diagnosis problem_;
};

}  // namespace rwkv7::detail
