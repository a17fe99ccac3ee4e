// SPDX-License-Identifier: MIT
/// Eigen vectors, row-major matrices and maps of either as views. Elements of Eigen's 16-bit types become bf16 and f16.
#pragma once

#include <Eigen/Core>
#include <type_traits>

#include "rwkv7/adapt/span.hpp"
#include "rwkv7/core/dtype.hpp"

namespace rwkv7 {

namespace detail {
template <class T>
struct eigen_stored {
  using type = T;
};
template <>
struct eigen_stored<Eigen::bfloat16> {
  using type = bf16;
};
template <>
struct eigen_stored<Eigen::half> {
  using type = f16;
};
template <class T>
struct eigen_stored<const T> {
  using type = const typename eigen_stored<T>::type;
};
template <class Dense>
using eigen_element = typename eigen_stored<std::remove_pointer_t<decltype(std::declval<Dense&>().data())>>::type;
template <class Dense>
eigen_element<Dense>* eigen_data(Dense& m) noexcept {
  static_assert(sizeof(eigen_element<Dense>) == sizeof *m.data());
  return reinterpret_cast<eigen_element<Dense>*>(m.data());
}
}  // namespace detail

template <class Dense>
concept eigen_dense = requires(Dense& m) {
  m.data();
  m.innerStride();
  m.outerStride();
  typename std::remove_cvref_t<Dense>::PlainObject;
};

/// A row-major matrix as [rows, cols], or a vector as [size]. Strides are kept.
template <eigen_dense Dense>
auto as_view(Dense&& m) {
  using plain = std::remove_cvref_t<Dense>;
  using element = detail::eigen_element<std::remove_reference_t<Dense>>;
  static_assert(std::is_lvalue_reference_v<Dense&&> || !std::is_same_v<plain, typename plain::PlainObject>,
                "rwkv7: a temporary Eigen matrix would be gone before the view is used");
  if constexpr (plain::IsVectorAtCompileTime) {
    return view<element, 1>(detail::eigen_data(m), {static_cast<index_t>(m.size())},
                            {static_cast<index_t>(m.innerStride())});
  } else {
    static_assert(plain::IsRowMajor,
                  "rwkv7: this Eigen matrix is column-major; channels must be contiguous, so store it as "
                  "Eigen::Matrix<T, Rows, Cols, Eigen::RowMajor>");
    return view<element, 2>(detail::eigen_data(m), {static_cast<index_t>(m.rows()), static_cast<index_t>(m.cols())},
                            {static_cast<index_t>(m.outerStride()), static_cast<index_t>(m.innerStride())});
  }
}

/// The elements of a dense row-major matrix or vector under other extents, as for a span.
///
///   as_view(x, {B, T, C})          x: (B·T) × C
template <eigen_dense Dense, std::size_t Rank>
auto as_view(Dense&& m, const index_t (&extents)[Rank]) {
  using plain = std::remove_cvref_t<Dense>;
  using element = detail::eigen_element<std::remove_reference_t<Dense>>;
  static_assert(std::is_lvalue_reference_v<Dense&&> || !std::is_same_v<plain, typename plain::PlainObject>,
                "rwkv7: a temporary Eigen matrix would be gone before the view is used");
  static_assert(plain::IsVectorAtCompileTime || plain::IsRowMajor,
                "rwkv7: this Eigen matrix is column-major; channels must be contiguous, so store it as "
                "Eigen::Matrix<T, Rows, Cols, Eigen::RowMajor>");
  diagnosis problem;
  if (m.innerStride() != 1 && m.size() > 1)
    problem.complain("rwkv7::as_view: matrix: got inner stride %lld, want 1", static_cast<long long>(m.innerStride()));
  else if (!plain::IsVectorAtCompileTime && m.rows() > 1 && m.outerStride() != m.cols())
    problem.complain("rwkv7::as_view: matrix: got outer stride %lld, want %lld (dense)",
                     static_cast<long long>(m.outerStride()), static_cast<long long>(m.cols()));
  if (!problem) return as_view(std::span<element>(detail::eigen_data(m), static_cast<std::size_t>(m.size())), extents);
  report(problem);
  return view<element, static_cast<int>(Rank)>();
}

}  // namespace rwkv7
