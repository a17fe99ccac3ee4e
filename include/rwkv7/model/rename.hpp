// SPDX-License-Identifier: MIT
/// From one naming scheme to another: names, extents, strides.
#pragma once

#include <deque>

#include "rwkv7/core/weights.hpp"
#include "rwkv7/model/naming.hpp"

namespace rwkv7 {

namespace detail {

/// The tensor in RWKV-LM's layout; one of another shape than expected stays as it is, to be named by who binds it.
inline void to_rwkv_lm_layout(layout how, index_t head_size, stored_tensor& t) {
  if (quantised_type(t.type)) return;  // a matrix that has no other layout
  switch (how) {
    case layout::plain:
      break;
    case layout::deep:
    case layout::deep_hf:
      while (t.shape.size() < 3) {
        t.shape.insert(t.shape.begin(), 1);
        t.strides.insert(t.strides.begin(), t.size());
      }
      break;
    case layout::low_rank:
      if (t.shape.size() != 2) break;
      std::swap(t.shape[0], t.shape[1]);
      std::swap(t.strides[0], t.strides[1]);
      break;
    case layout::heads:
      if (t.shape.size() != 1 || head_size < 1 || t.shape[0] % head_size != 0) break;
      t.shape = {t.shape[0] / head_size, head_size};
      t.strides = {head_size * t.strides[0], t.strides[0]};
      break;
  }
}

/// Whether a block's tensor is all mixing vectors, one per row.
inline bool is_stacked_mix(naming scheme, std::string_view rest, const stored_tensor& t) noexcept {
  return rest == (scheme == naming::hf ? stacked_mix_hf : stacked_mix_gguf) && !t.shape.empty() && t.shape[0] > 0 &&
         t.shape[0] <= 6 && t.size() == t.shape[0] * t.shape.back() && t.dense() && traits_of(t.type).elements == 1;
}

}  // namespace detail

/// Gives the tensors RWKV-LM's names, shapes and order of axes; no byte is copied. One that the scheme does not know
/// keeps its name. `head_size` is that of r_k where the file has it flat. Complains where two tensors get one name.
inline diagnosis to_rwkv_lm(tensor_file& file, naming from, index_t head_size) {
  if (from == naming::rwkv_lm) return {};
  std::vector<stored_tensor> result;
  for (auto& tensor : file.tensors) {
    for (const auto& name : detail::model_names)
      if (tensor.name == name.in(from)) {
        tensor.name = name.rwkv_lm;
        break;
      }
    const auto split = detail::split_block(from, tensor.name);
    const std::string prefix = split ? "blocks." + std::to_string(split->block) + "." : "";
    if (split && detail::is_stacked_mix(from, split->rest, tensor)) {
      const std::vector<index_t> shape{1, 1, tensor.shape.back()};
      const auto row = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0]);
      for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.shape[0]); ++i)
        result.push_back({prefix + std::string(detail::stacked_mix[i]), tensor.type, shape, dense_strides(shape),
                          tensor.bytes.subspan(i * row, row)});
      continue;
    }
    if (split && from == naming::gguf && split->block == 0 && split->rest.starts_with("time_mix_v") &&
        split->rest != "time_mix_value.weight")
      continue;
    if (split)
      for (const auto& name : detail::block_names)
        if (split->rest == name.in(from)) {
          detail::to_rwkv_lm_layout(name.how, head_size, tensor);
          tensor.name = prefix + std::string(name.rwkv_lm);
          break;
        }
    result.push_back(std::move(tensor));
  }
  file.tensors = std::move(result);
  diagnosis problem;
  detail::finish_tensors(file, problem);
  return problem;
}

/// Tensors, and the bytes of those that are in no file.
struct renamed_tensors {
  std::vector<stored_tensor> tensors{};       // in the file or in `made`
  std::deque<std::vector<std::byte>> made{};  // what had to be written anew
};

namespace detail {

/// The elements of an f32, f16, bf16 or block tensor as f32.
inline std::vector<std::byte> widened(const stored_tensor& from) {
  const auto count = static_cast<std::size_t>(from.size());
  std::vector<std::byte> stored(count * sizeof(float)), bytes(count * sizeof(float));
  unpack(from, stored.data());
  const weights<1> values(stored.data(), unpacked_type(from.type).value(), {from.size()});
  for (std::size_t i = 0; i < count; ++i) {
    const auto x = static_cast<float>(values(static_cast<index_t>(i)));
    std::memcpy(bytes.data() + i * sizeof x, &x, sizeof x);
  }
  return bytes;
}

/// The way back, of a checkpoint in RWKV-LM's names that is known to be a model. GGUF also gets what llama.cpp needs:
/// vectors as f32, and the value mix of block 0, as copies of a0, a1, a2. Values are exact.
class from_rwkv_lm {
 public:
  from_rwkv_lm(const std::vector<stored_tensor>& tensors, naming to) : to_(to) {
    for (const auto& tensor : tensors) add(tensor);
    for (const auto& [block, rows] : mixes_) add_stacked_mix(block, rows);
  }
  renamed_tensors result() && { return std::move(result_); }

 private:
  using rows_of_mix = std::map<std::string_view, const stored_tensor*>;

  void add(const stored_tensor& given) {
    if (to_ == naming::rwkv_lm) return put(given, given.name);
    for (const auto& name : model_names)
      if (name.rwkv_lm == given.name) return put(given, std::string(name.in(to_)));
    const auto split = split_block(naming::rwkv_lm, given.name);
    const auto known = std::find_if(std::begin(block_names), std::end(block_names),
                                    [&](const auto& name) { return split && name.rwkv_lm == split->rest; });
    if (known == std::end(block_names)) return;
    const bool first = split->block == 0;
    if (first && known->rwkv_lm.size() == 6 && known->rwkv_lm.starts_with("att.v")) return;  // unused
    if (known->in(to_).empty()) return void(mixes_[split->block][known->rwkv_lm] = &given);
    auto tensor = given;
    if (known->how == layout::low_rank) to_rwkv_lm_layout(known->how, 0, tensor);
    if (known->how == layout::deep || (known->how == layout::heads && to_ == naming::gguf)) flatten(tensor);
    put(tensor, prefix(split->block) + std::string(known->in(to_)));
    if (to_ == naming::gguf && first && known->gguf.starts_with("time_mix_a"))
      put(tensor, prefix(0) + "time_mix_v" + std::string(known->gguf.substr(10)));
  }
  void put(stored_tensor tensor, const std::string& name) {
    tensor.name = name;
    if (to_ == naming::gguf && tensor.shape.size() < 2 && tensor.type != storage::f32)
      tensor = made(name, tensor.shape, widened(tensor));
    result_.tensors.push_back(std::move(tensor));
  }
  /// One axis: the others have extent 1, or all are dense, or become so.
  void flatten(stored_tensor& t) {
    if (t.shape.back() != t.size() && !t.dense()) t = made(t.name, t.shape, widened(t));
    t.strides = {t.strides.back()};
    t.shape = {t.size()};
  }
  void add_stacked_mix(std::size_t block, const rows_of_mix& rows) {
    std::vector<std::byte> all;
    for (const auto& name : stacked_mix)
      if (const auto row = rows.find(name); row != rows.end()) {
        const auto bytes = widened(*row->second);
        all.insert(all.end(), bytes.begin(), bytes.end());
      }
    const auto count = static_cast<index_t>(rows.size());
    const auto C = static_cast<index_t>(all.size() / sizeof(float)) / count;
    result_.tensors.push_back(made(prefix(block) + std::string(stacked_mix_gguf), {count, 1, 1, C}, std::move(all)));
  }
  stored_tensor made(const std::string& name, const std::vector<index_t>& shape, std::vector<std::byte> bytes) {
    return {name, storage::f32, shape, dense_strides(shape), result_.made.emplace_back(std::move(bytes))};
  }
  std::string prefix(std::size_t block) const { return std::string(block_prefix(to_)) + std::to_string(block) + "."; }

  naming to_;
  std::map<std::size_t, rows_of_mix> mixes_;  // of each block, for GGUF
  renamed_tensors result_;
};

}  // namespace detail
}  // namespace rwkv7
