// SPDX-License-Identifier: MIT
/// PyTorch tensors as views. The one header that includes PyTorch's; any release since 1.13 should do (tested: 1.13.1).
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "rwkv7/core/check.hpp"
#include "rwkv7/core/dtype.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

namespace detail {

template <class T>
constexpr at::ScalarType torch_type() noexcept {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, f16> ||
                    std::is_same_v<T, bf16> || std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::int64_t>,
                "rwkv7: operands are float, double, f16, bf16, std::int32_t or std::int64_t");
  return std::is_same_v<T, float>          ? at::ScalarType::Float
         : std::is_same_v<T, double>       ? at::ScalarType::Double
         : std::is_same_v<T, f16>          ? at::ScalarType::Half
         : std::is_same_v<T, bf16>         ? at::ScalarType::BFloat16
         : std::is_same_v<T, std::int32_t> ? at::ScalarType::Int
                                           : at::ScalarType::Long;
}

}  // namespace detail

/// The elements of a PyTorch tensor where they lie; T is float, double, f16, bf16, std::int32_t or std::int64_t, const
/// where the tensor is read.
///
///   as_view<const float, 4>(r)
///
/// Strides are kept. The tensor must outlive the view; autograd is not told of what is written through it.
/// Errors: rwkv7::error when the tensor is undefined, not strided memory of the CPU, a lazily negated view, or has
/// another element type or number of axes. Cost: O(Rank).
template <class T, int Rank>
view<T, Rank> as_view(const at::Tensor& tensor) {
  constexpr at::ScalarType want = detail::torch_type<std::remove_const_t<T>>();
  diagnosis problem;
  if (!tensor.defined())
    problem.complain("rwkv7::as_view: torch tensor: is undefined");
  else if (tensor.layout() != at::kStrided || !tensor.device().is_cpu())
    problem.complain("rwkv7::as_view: torch tensor: is on device %s with layout %d, want strided memory of the CPU",
                     tensor.device().str().c_str(), static_cast<int>(tensor.layout()));
  else if (tensor.scalar_type() != want)
    problem.complain("rwkv7::as_view: torch tensor: got elements of type %s, want %s",
                     c10::toString(tensor.scalar_type()), c10::toString(want));
  else if (tensor.dim() != Rank)
    problem.complain("rwkv7::as_view: torch tensor: got %lld axes, want %d", static_cast<long long>(tensor.dim()),
                     Rank);
  else if (tensor.is_neg())
    problem.complain("rwkv7::as_view: torch tensor: is negated lazily, call resolve_neg()");
  if (problem) {
    report(problem);
    return {};
  }
  typename view<T, Rank>::index_array extents{}, strides{};
  for (std::size_t i = 0; i < static_cast<std::size_t>(Rank); ++i) {
    extents[i] = tensor.size(static_cast<std::int64_t>(i));
    strides[i] = tensor.stride(static_cast<std::int64_t>(i));
  }
  return {static_cast<T*>(tensor.data_ptr()), extents, strides};
}

/// A parameter in the element type it has: float, half or bfloat16. Errors as for as_view.
template <int Rank>
weights<Rank> as_weights(const at::Tensor& tensor) {
  const auto type = tensor.defined() ? tensor.scalar_type() : at::ScalarType::Float;
  if (type == at::ScalarType::Half) return as_view<const f16, Rank>(tensor);
  if (type == at::ScalarType::BFloat16) return as_view<const bf16, Rank>(tensor);
  return as_view<const float, Rank>(tensor);
}

}  // namespace rwkv7
