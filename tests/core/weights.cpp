// SPDX-License-Identifier: MIT
#include "rwkv7/core/weights.hpp"

#include <doctest/doctest.h>

#include <type_traits>
#include <vector>

using rwkv7::bf16;
using rwkv7::dtype;
using rwkv7::f16;
using rwkv7::index_t;
using rwkv7::view;
using rwkv7::weights;

namespace {

template <class T>
T stored(float x) {
  if constexpr (std::is_same_v<T, float>)
    return x;
  else
    return T::from_float(x);
}

template <class T>
std::vector<T> ramp(std::size_t n) {
  std::vector<T> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = stored<T>(0.25f * static_cast<float>(i) - 1.0f);
  return v;
}

}  // namespace

TEST_CASE_TEMPLATE("weights remember the element type of the view they were made from", T, float, f16, bf16) {
  auto memory = ramp<T>(12);
  const weights<2> w = view<T, 2>(memory.data(), {3, 4});
  const weights<2> c = view<const T, 2>(memory.data(), {3, 4});
  CHECK(w.type() == rwkv7::dtype_of<T>);
  CHECK(c.type() == rwkv7::dtype_of<T>);
  CHECK(w.data() == memory.data());
  CHECK(w.extents() == weights<2>::index_array{3, 4});
  CHECK(w.stride(0) == 4);
  CHECK(w.stride(1) == 1);
}

TEST_CASE_TEMPLATE("an element reads as the exact double of what is stored", T, float, f16, bf16) {
  const auto memory = ramp<T>(12);
  const weights<2> w(memory.data(), rwkv7::dtype_of<T>, {3, 4});
  for (index_t i = 0; i < 3; ++i)
    for (index_t j = 0; j < 4; ++j) CHECK(w(i, j) == 0.25 * double(4 * i + j) - 1.0);
}

TEST_CASE("a transposed matrix has the same elements; which of the two lies by inputs is known") {
  const float data[] = {1, 2, 3, 4, 5, 6};
  const weights<2> w(data, dtype::f32, {2, 3}), t = w.transposed();
  CHECK((t.extent(0) == 3 && t.extent(1) == 2));
  for (index_t i = 0; i < 2; ++i)
    for (index_t j = 0; j < 3; ++j) CHECK(w(i, j) == t(j, i));
  CHECK((!w.by_inputs() && t.by_inputs()));
  CHECK(!t.transposed().by_inputs());
  const weights<2> column(data, dtype::f32, {6, 1}), row(data, dtype::f32, {1, 6});
  CHECK((!column.by_inputs() && !row.by_inputs()));
  CHECK((!column.transposed().by_inputs() && !row.transposed().by_inputs()));
}

TEST_CASE_TEMPLATE("strides of a view are kept", T, float, f16, bf16) {
  const auto memory = ramp<T>(24);
  const weights<2> w = view<const T, 2>(memory.data() + 1, {3, 4}, {8, 2});
  CHECK(w.stride(0) == 8);
  CHECK(w(2, 3) == 0.25 * 23 - 1.0);
}

TEST_CASE_TEMPLATE("visit hands over a view of the type that is stored, and its result", T, float, f16, bf16) {
  const auto memory = ramp<T>(12);
  const weights<2> w(memory.data(), rwkv7::dtype_of<T>, {3, 4});
  bool same = false;
  const index_t size = w.visit([&](const auto& v) {
    same = std::is_same_v<std::remove_cvref_t<decltype(v)>, view<const T, 2>> && v.data() == w.data();
    return v.size();
  });
  CHECK(same);
  CHECK(size == 12);
}

TEST_CASE("default weights are absent") {
  const weights<1> none;
  CHECK(!none);
  CHECK(none.extent(0) == 0);
}

TEST_CASE("only the element types of checkpoints are weights") {
  static_assert(std::is_convertible_v<view<float, 1>, weights<1>>);
  static_assert(std::is_convertible_v<view<const bf16, 1>, weights<1>>);
  // double and other ranks are refused by a constructor that says why: compile_fail/weights_dtype.cpp.
  static_assert(std::is_trivially_copyable_v<weights<2>>);
  CHECK(true);
}

TEST_CASE("a dense tensor of raw bytes needs its type and extents only") {
  const std::vector<std::uint16_t> bits = {0x3c00, 0x4000};
  CHECK(weights<1>(bits.data(), dtype::f16, {2})(1) == 2.0);
  const std::vector<std::uint16_t> brain = {0x3f80, 0x4000};
  CHECK(weights<1>(brain.data(), dtype::bf16, {2})(1) == 2.0);
}
