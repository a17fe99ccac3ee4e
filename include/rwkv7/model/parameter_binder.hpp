// SPDX-License-Identifier: MIT
/// From the tensors of a checkpoint to the parameters of a model, whatever its layers are. Nothing is copied.
#pragma once

#include <algorithm>
#include <optional>
#include <set>

#include "rwkv7/model/model_weights.hpp"
#include "rwkv7/model/naming.hpp"

namespace rwkv7::detail {

/// What the readers of both forms of layers have in common: the first complaint, and how a tensor becomes a parameter.
class parameter_binder {
 protected:
  explicit parameter_binder(const tensor_file& file) : file_(file) {}

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

  /// Binds every tensor, whatever its extents, because sizes are read from these.
  template <class Weights>
  void bind_all(const variant& v, Weights& parameters, const model_sizes& sizes) {
    std::set<std::string> known;
    for_each_parameter(v, parameters, sizes, [&](const std::string& name, auto& w, const auto&, presence p) {
      known.insert(name);
      const auto* tensor = file_.find(name);
      if (tensor && p != presence::unused) bind(*tensor, w);
      if (!tensor && p == presence::required) complain(name, "is missing");
    });
    for (const auto& tensor : file_.tensors)
      if (!known.contains(tensor.name)) complain(tensor.name, "is not a tensor of this model");
  }
  /// Complains about extents that the sizes do not ask for.
  template <class Weights>
  void check_extents(const variant& v, Weights& parameters, const model_sizes& sizes) {
    for_each_parameter(v, parameters, sizes, [&](const std::string& name, auto& w, const auto& axes, presence p) {
      for (std::size_t i = 0; i < axes.size() && w && p != presence::unused; ++i) {
        const auto& [letter, want] = axes[i];
        const int a = static_cast<int>(i);
        if (w.extent(a) != want)
          complain(name, std::string("axis ") + letter + ": got " + std::to_string(w.extent(a)) + ", want " +
                             std::to_string(want));
      }
    });
  }

  void complain(std::string_view tensor, std::string_view what) {
    problem_.complain("rwkv7::language_model: %s: %s: %s", file_.name.c_str(), shown(tensor, 60).c_str(),
                      std::string(what).c_str());
  }

  const tensor_file& file_;
  diagnosis problem_;
};

}  // namespace rwkv7::detail
