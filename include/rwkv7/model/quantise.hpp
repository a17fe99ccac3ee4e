// SPDX-License-Identifier: MIT
/// Makes a checkpoint smaller: its large matrices in 16, 8 or 4 bits, everything else as it is.
#pragma once

#include "rwkv7/model/model_weights.hpp"
#include "rwkv7/model/rename.hpp"
#include "rwkv7/quant/pack.hpp"

namespace rwkv7 {

/// What quantise did to a matrix.
struct quantised_matrix {
  std::string name;               // in RWKV-LM
  dtype type;                     // its format now
  index_t rows = 0, columns = 0;  // its extents
  std::size_t before = 0;         // bytes it had
  std::size_t after = 0;          // bytes it has
  double relative_l2 = 0;         // ‖quantised - given‖ / ‖given‖
  double largest = 0, worst = 0;  // magnitudes: of its elements, of the differences
};

namespace detail {

/// Rounds every element to 16 bits.
template <class T>
diagnosis round_all(const view<const float, 2>& from, std::span<std::byte> to) noexcept {
  diagnosis problem;
  auto* next = to.data();
  for (index_t r = 0; r < from.extent(0); ++r)
    for (index_t k = 0; k < from.extent(1); ++k, next += sizeof(T)) {
      const T rounded = T::from_float(from(r, k));
      if (!std::isfinite(rounded.to_float()))
        problem.complain("row %lld: got %g, want what %s can hold", static_cast<long long>(r),
                         static_cast<double>(from(r, k)), name_of(dtype_of<T>));
      std::memcpy(next, &rounded, sizeof rounded);
    }
  return problem;
}

/// A matrix in another type.
inline diagnosis put(dtype type, const view<const float, 2>& from, std::span<std::byte> to) {
  if (type == dtype::f16) return round_all<f16>(from, to);
  if (type == dtype::bf16) return round_all<bf16>(from, to);
  const auto problem = quant::validate_pack(type, from, to);
  if (!problem) quant::pack(type, from, to);
  return problem;
}

/// The distance between a matrix and what became of it.
inline void measure(quantised_matrix& m, const view<const float, 2>& from, const std::byte* made) noexcept {
  const weights<2> to(made, m.type, from.extents());
  double difference = 0, norm = 0;
  for (index_t r = 0; r < m.rows; ++r)
    for (index_t k = 0; k < m.columns; ++k) {
      const auto x = static_cast<double>(from(r, k));
      const double apart = to(r, k) - x;
      difference += apart * apart, norm += x * x;
      m.largest = std::max(m.largest, std::abs(x));
      m.worst = std::max(m.worst, std::abs(apart));
    }
  m.relative_l2 = norm > 0 ? std::sqrt(difference / norm) : 0;
}

}  // namespace detail

/// Quantises, or rounds to 16 bits, every matrix for which is_quantisable holds: receptance, key, value, output,
/// ffn.key, ffn.value and head.
///
///   model  as open_checkpoint gives it; must outlive the result, which refers to what is not quantised
///   type   f16, bf16, int8, int8_rows, int4 or nf4
///   head   of the head, whose errors no later layer evens out
///   each   each(const quantised_matrix&), called as a matrix is done
///
/// Errors: rwkv7::error names file and tensor, when one is quantised already, holds a number that is not finite or too
/// large for f16, or has columns that are no multiple of quantised_block; where exceptions are off the result is then
/// empty. Cost: as quant::pack; memory for all quantised matrices, and for one in f32 twice.
template <class Each>
renamed_tensors quantise(const tensor_file& model, dtype type, dtype head, Each&& each) {
  renamed_tensors result;
  diagnosis problem;
  const auto complain = [&](const stored_tensor& tensor, const std::string& what) {
    problem.complain("rwkv7::quantise: %s: %s: %s", model.name.c_str(), detail::shown(tensor.name, 60).c_str(),
                     what.c_str());
  };
  for (const auto& tensor : model.tensors) {
    if (!is_quantisable(tensor.name)) {
      result.tensors.push_back(tensor);
      continue;
    }
    quantised_matrix m{.name = tensor.name, .type = tensor.name == "head.weight" ? head : type};
    if (quantised_type(tensor.type) || !unpacked_type(tensor.type) || tensor.shape.size() != 2)
      complain(tensor, "got " + std::string(traits_of(tensor.type).name) + " of " +
                           std::to_string(tensor.shape.size()) + " axes, want a matrix of F32, F16 or BF16");
    if (problem) break;
    m.rows = tensor.shape[0], m.columns = tensor.shape[1], m.before = tensor.bytes.size();
    const auto wide = detail::widened(tensor);
    const view<const float, 2> from(reinterpret_cast<const float*>(wide.data()), {m.rows, m.columns});
    if (!is_quantised(m.type))
      m.after = size_of(m.type) * static_cast<std::size_t>(tensor.size());
    else if (m.columns % quantised_block(m.type) == 0)
      m.after = quantised_size(m.type, m.rows, m.columns);
    auto& bytes = result.made.emplace_back(m.after);
    if (const auto refused = detail::put(m.type, from, bytes)) complain(tensor, refused.message());
    if (problem) break;
    detail::measure(m, from, bytes.data());
    result.tensors.push_back({tensor.name, storage_of(m.type), tensor.shape, dense_strides(tensor.shape), bytes});
    each(std::as_const(m));
  }
  if (!problem) return result;
  report(problem);
  return {};
}

}  // namespace rwkv7
