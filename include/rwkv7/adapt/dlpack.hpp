// SPDX-License-Identifier: MIT
/// DLPack tensors (NumPy, PyTorch, JAX, TensorFlow, CuPy, …) as views.
///
/// Includes no dlpack.h: whatever has the members of DLTensor, DLManagedTensor or DLManagedTensorVersioned is taken, so
/// that any release of the format serves, 0.5 (DLDevice) to 1.x, and any framework's copy of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "rwkv7/core/check.hpp"
#include "rwkv7/core/dtype.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// The members of DLTensor.
template <class Tensor>
concept dlpack_tensor = requires(const Tensor& t) {
  t.data;
  t.device.device_type;
  t.ndim;
  t.dtype.code;
  t.dtype.bits;
  t.dtype.lanes;
  t.shape;
  t.strides;
  t.byte_offset;
};

/// The member dl_tensor of DLManagedTensor and DLManagedTensorVersioned.
template <class Managed>
concept dlpack_managed = requires(const Managed& m) {
  requires dlpack_tensor<std::remove_cvref_t<decltype(m.dl_tensor)>>;
};

namespace detail {

/// Type codes, device types and the flag of a read-only tensor, as the format numbers them.
enum dlpack_code : int { dlpack_int = 0, dlpack_float = 2, dlpack_bfloat = 4 };
enum dlpack_device : int { dlpack_cpu = 1, dlpack_cuda_host = 3, dlpack_rocm_host = 11 };
inline constexpr std::uint64_t dlpack_read_only = 1;

/// An element type by the format's two numbers.
struct dlpack_element {
  int code, bits;

  template <class T>
  static constexpr dlpack_element of() noexcept {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, f16> ||
                      std::is_same_v<T, bf16> || std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::int64_t>,
                  "rwkv7: operands are float, double, f16, bf16, std::int32_t or std::int64_t");
    return {std::is_same_v<T, bf16> ? dlpack_bfloat
            : std::is_integral_v<T> ? dlpack_int
                                    : dlpack_float,
            static_cast<int>(8 * sizeof(T))};
  }
  const char* name() const noexcept {
    constexpr const char* names[] = {"int", "unsigned int", "float", "opaque", "bfloat", "complex", "bool"};
    return code >= 0 && code < 7 ? names[code] : "unknown type";
  }
  friend constexpr bool operator==(const dlpack_element&, const dlpack_element&) = default;
};

/// Everything about a tensor but its element type.
template <dlpack_tensor Tensor>
diagnosis check_dlpack(const Tensor& t, int rank) noexcept {
  diagnosis problem;
  const int device = static_cast<int>(t.device.device_type);
  if (device != dlpack_cpu && device != dlpack_cuda_host && device != dlpack_rocm_host)
    problem.complain("rwkv7::as_view: DLPack tensor: got device type %d, want %d (CPU)", device, int{dlpack_cpu});
  if (t.dtype.lanes != 1)
    problem.complain("rwkv7::as_view: DLPack tensor: got %d lanes, want 1", static_cast<int>(t.dtype.lanes));
  if (t.ndim != rank) problem.complain("rwkv7::as_view: DLPack tensor: got %d axes, want %d", int{t.ndim}, rank);
  if (problem) return problem;
  bool empty = false;
  for (int i = 0; i < rank; ++i) {
    if (t.shape[i] < 0)
      problem.complain("rwkv7::as_view: DLPack tensor axis %d: got extent %lld, want 0 or more", i,
                       static_cast<long long>(t.shape[i]));
    empty |= t.shape[i] == 0;
  }
  const auto bytes = static_cast<std::uint64_t>(t.dtype.bits / 8);
  if (!t.data && !empty) problem.complain("rwkv7::as_view: DLPack tensor: no data");
  if (bytes > 0 && (reinterpret_cast<std::uintptr_t>(t.data) + t.byte_offset) % bytes != 0)
    problem.complain("rwkv7::as_view: DLPack tensor: its elements are not aligned to their size");
  return problem;
}

/// The elements, their type and the rank having been checked. Without strides the tensor is dense.
template <class T, int Rank, dlpack_tensor Tensor>
view<T, Rank> dlpack_elements(const Tensor& t) noexcept {
  typename view<T, Rank>::index_array extents{}, strides{};
  for (std::size_t i = 0; i < static_cast<std::size_t>(Rank); ++i) {
    extents[i] = static_cast<index_t>(t.shape[i]);
    if (t.strides) strides[i] = static_cast<index_t>(t.strides[i]);
  }
  using byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
  T* const data = t.data ? reinterpret_cast<T*>(static_cast<byte*>(t.data) + t.byte_offset) : nullptr;
  return t.strides ? view<T, Rank>(data, extents, strides) : view<T, Rank>(data, extents);
}

template <dlpack_tensor Tensor>
constexpr const Tensor& dl_tensor_of(const Tensor& t) noexcept {
  return t;
}
template <dlpack_managed Managed>
constexpr const auto& dl_tensor_of(const Managed& m) noexcept {
  return m.dl_tensor;
}

template <class Tensor>
constexpr bool dlpack_is_read_only(const Tensor& t) noexcept {
  if constexpr (requires { t.flags; }) return (t.flags & dlpack_read_only) != 0;
  return false;
}

}  // namespace detail

/// The elements of a DLPack tensor where they lie; T is float, double, f16, bf16, std::int32_t or std::int64_t, const
/// where the tensor is read.
///
///   as_view<const float, 4>(*managed)
///
/// Strides are kept, absent ones mean dense. Owns nothing: whoever received a managed tensor keeps it until the view is
/// no longer used, and calls its deleter. Errors: rwkv7::error when the element type, the number of axes, lanes or the
/// device is another one (the memory must be the host's), when elements are not aligned, or when a read-only tensor
/// would be written. Cost: O(Rank).
template <class T, int Rank, class Tensor>
requires(dlpack_tensor<Tensor> || dlpack_managed<Tensor>) view<T, Rank> as_view(const Tensor& tensor) {
  const auto& t = detail::dl_tensor_of(tensor);
  auto problem = detail::check_dlpack(t, Rank);
  const detail::dlpack_element got{static_cast<int>(t.dtype.code), static_cast<int>(t.dtype.bits)};
  const auto want = detail::dlpack_element::of<std::remove_const_t<T>>();
  if (got != want)
    problem.complain("rwkv7::as_view: DLPack tensor: got elements of type %s, %d bits, want %s, %d bits", got.name(),
                     got.bits, want.name(), want.bits);
  if (!std::is_const_v<T> && detail::dlpack_is_read_only(tensor))
    problem.complain("rwkv7::as_view: DLPack tensor: is read only");
  if (!problem) return detail::dlpack_elements<T, Rank>(t);
  report(problem);
  return {};
}

/// A parameter in the element type it has: f32, f16 or bf16. Errors as for as_view.
template <int Rank, class Tensor>
requires(dlpack_tensor<Tensor> || dlpack_managed<Tensor>) weights<Rank> as_weights(const Tensor& tensor) {
  const auto& t = detail::dl_tensor_of(tensor);
  const detail::dlpack_element got{static_cast<int>(t.dtype.code), static_cast<int>(t.dtype.bits)};
  if (got == detail::dlpack_element::of<f16>()) return as_view<const f16, Rank>(tensor);
  if (got == detail::dlpack_element::of<bf16>()) return as_view<const bf16, Rank>(tensor);
  return as_view<const float, Rank>(tensor);
}

}  // namespace rwkv7
