// SPDX-License-Identifier: MIT
#include "rwkv7/adapt/eigen.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/linear.hpp"

using rwkv7::as_view;
using rwkv7::index_t;
using rwkv7::view;

namespace {

using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

row_major numbered(int rows, int cols) {
  row_major m(rows, cols);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) m(i, j) = static_cast<float>(10 * i + j);
  return m;
}

template <class Matrix>
bool same_elements(const Matrix& m, const view<const float, 2>& v) {
  if (m.rows() != v.extent(0) || m.cols() != v.extent(1)) return false;
  for (index_t i = 0; i < v.extent(0); ++i)
    for (index_t j = 0; j < v.extent(1); ++j)
      if (m(i, j) != v(i, j)) return false;
  return true;
}

}  // namespace

TEST_CASE("a row-major matrix is [rows, cols] where it lies") {
  row_major m = numbered(3, 4);
  const auto v = as_view(m);
  static_assert(std::is_same_v<decltype(v), const view<float, 2>>);
  CHECK(v.data() == m.data());
  CHECK(same_elements(m, v));
}

TEST_CASE("a const matrix is a view of const elements") {
  const row_major m = numbered(3, 4);
  static_assert(std::is_same_v<decltype(as_view(m)), view<const float, 2>>);
  CHECK(same_elements(m, as_view(m)));
}

TEST_CASE("matrices of Eigen's 16-bit types are operands in bf16 and f16, and parameters") {
  const auto check = [](auto eigen, auto ours) {
    using E = decltype(eigen);
    using T = decltype(ours);
    using matrix = Eigen::Matrix<E, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    matrix x = numbered(3, 4).cast<E>(), y(3, 2);
    const matrix W = numbered(2, 4).cast<E>();
    static_assert(std::is_same_v<decltype(as_view(x)), view<T, 2>>);
    static_assert(std::is_same_v<decltype(as_view(W)), view<const T, 2>>);
    static_assert(std::is_same_v<decltype(as_view(x.row(0))), view<T, 1>>);
    rwkv7::linear(rwkv7::inline_executor{}, rwkv7::linear_inputs<T>{.x = as_view(x, {1, 3, 4}), .weight = as_view(W)},
                  as_view(y, {1, 3, 2}));
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 2; ++j) {
        float want = 0;
        for (int k = 0; k < 4; ++k) want += numbered(3, 4)(i, k) * numbered(2, 4)(j, k);
        CHECK(y(i, j) == E(want));
      }
  };
  check(Eigen::bfloat16(), rwkv7::bf16{});
  check(Eigen::half(), rwkv7::f16{});
}

TEST_CASE("vectors, rows and columns are views of one axis with the stride they have") {
  Eigen::VectorXf column = Eigen::VectorXf::LinSpaced(5, 0, 4);
  Eigen::RowVectorXd row = Eigen::RowVectorXd::LinSpaced(5, 0, 4);
  CHECK(as_view(column) == view<float, 1>(column.data(), {5}));
  CHECK(as_view(row) == view<double, 1>(row.data(), {5}));
  row_major m = numbered(3, 4);
  CHECK(as_view(m.row(1)) == view<float, 1>(m.data() + 4, {4}));
  CHECK(as_view(m.col(1)) == view<float, 1>(m.data() + 1, {3}, {4}));
}

TEST_CASE("a block and a map keep their strides") {
  row_major m = numbered(6, 8);
  CHECK(as_view(m.block(1, 2, 3, 4)).strides() == view<float, 2>::index_array{8, 1});
  CHECK(same_elements(m.block(1, 2, 3, 4), as_view(m.block(1, 2, 3, 4))));
  std::vector<float> memory(64, 3.0f);
  const Eigen::Map<row_major, 0, Eigen::OuterStride<>> padded(memory.data(), 4, 6, Eigen::OuterStride<>(10));
  CHECK(as_view(padded).strides() == view<float, 2>::index_array{10, 1});
  const Eigen::Map<row_major, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> both(
      memory.data(), 3, 5, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(12, 2));
  CHECK(as_view(both).strides() == view<float, 2>::index_array{12, 2});
  const Eigen::Map<const row_major> read_only(memory.data(), 8, 8);
  static_assert(std::is_same_v<decltype(as_view(read_only)), view<const float, 2>>);
  CHECK(as_view(read_only).data() == memory.data());
}

TEST_CASE("the transpose of a column-major matrix is row-major and needs no copy") {
  Eigen::MatrixXf m(4, 3);
  for (int i = 0; i < 12; ++i) m.data()[i] = static_cast<float>(i);
  CHECK(same_elements(m.transpose(), as_view(m.transpose())));
  CHECK(as_view(m.transpose()).data() == m.data());
}

TEST_CASE("a dense matrix can be seen under other extents") {
  row_major x = numbered(6, 4);
  CHECK(as_view(x, {2, 3, 4}) == view<float, 3>(x.data(), {2, 3, 4}));
  CHECK(as_view(x, {2, 3, 2, 2}) == view<float, 4>(x.data(), {2, 3, 2, 2}));
  Eigen::VectorXf v = Eigen::VectorXf::Zero(12);
  CHECK(as_view(v, {3, 4}) == view<float, 2>(v.data(), {3, 4}));
  const row_major c = numbered(6, 4);
  static_assert(std::is_same_v<decltype(as_view(c, {24})), view<const float, 1>>);
}

TEST_CASE("other extents need dense memory of the right length") {
  row_major x = numbered(6, 4);
  CHECK_THROWS_WITH_AS(as_view(x, {2, 3, 5}), "rwkv7::as_view: memory: got 24 elements, want 30", rwkv7::error);
  CHECK_THROWS_WITH_AS(as_view(x.leftCols(3), {18}), "rwkv7::as_view: matrix: got outer stride 4, want 3 (dense)",
                       rwkv7::error);
  CHECK_THROWS_WITH_AS(as_view(x.col(1), {6}), "rwkv7::as_view: matrix: got inner stride 4, want 1", rwkv7::error);
  CHECK(as_view(x.topRows(2), {8}).size() == 8);
  CHECK(as_view(x.topLeftCorner(1, 3), {3}).size() == 3);  // one row has no gap
}

TEST_CASE("an operation reads and writes Eigen matrices where they lie") {
  const row_major x = numbered(2, 3), W = numbered(4, 3);
  row_major y(2, 4);
  rwkv7::linear(rwkv7::inline_executor{}, rwkv7::linear_inputs<float>{.x = as_view(x, {1, 2, 3}), .weight = as_view(W)},
                as_view(y, {1, 2, 4}));
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j) {
      float sum = 0;  // small integers: exact
      for (int k = 0; k < 3; ++k) sum += x(i, k) * W(j, k);
      CHECK(y(i, j) == sum);
    }
}
