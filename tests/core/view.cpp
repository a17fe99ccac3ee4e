// SPDX-License-Identifier: MIT
#include "rwkv7/core/view.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <type_traits>
#include <vector>

using rwkv7::index_t;
using rwkv7::view;

namespace {

std::vector<float> iota(index_t n) {
  std::vector<float> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), 0.0f);
  return v;
}

}  // namespace

TEST_CASE("a view of a pointer and extents is dense and row-major") {
  auto memory = iota(2 * 3 * 5);
  const view<float, 3> v(memory.data(), {2, 3, 5});
  CHECK(v.stride(0) == 15);
  CHECK(v.stride(1) == 5);
  CHECK(v.stride(2) == 1);
  CHECK(v.size() == 30);
  CHECK(v(1, 2, 3) == 28.0f);
  CHECK(v.at(1, 2, 3) == memory.data() + 28);
  v(0, 0, 1) = -1.0f;
  CHECK(memory[1] == -1.0f);
}

TEST_CASE("a default view is absent: no data, no elements") {
  const view<float, 4> none;
  CHECK(!none);
  CHECK(none.size() == 0);
  CHECK(none == view<float, 4>{});
}

TEST_CASE("an axis of extent 0 empties a view, whatever the others are") {
  float x = 0;
  CHECK(view<float, 3>(&x, {7, 0, 5}).size() == 0);
  CHECK(static_cast<bool>(view<float, 3>(&x, {7, 0, 5})));
}

TEST_CASE("strides may leave gaps, run backwards, or stand still") {
  auto memory = iota(24);
  const view<float, 2> padded(memory.data() + 1, {2, 3}, {10, 2});
  CHECK(padded(0, 0) == 1.0f);
  CHECK(padded(1, 2) == 15.0f);
  const view<float, 2> backwards(memory.data() + 23, {4, 6}, {-6, -1});
  CHECK(backwards(0, 0) == 23.0f);
  CHECK(backwards(3, 5) == 0.0f);
  const view<const float, 2> repeated(memory.data(), {100, 4}, {0, 1});
  CHECK(repeated(0, 3) == 3.0f);
  CHECK(repeated(99, 3) == 3.0f);
}

TEST_CASE("indices are of any integer type") {
  auto memory = iota(6);
  const view<float, 2> v(memory.data(), {2, 3});
  CHECK(v(1u, std::size_t{2}) == v(1, index_t{2}));
}

TEST_CASE("a view of mutable elements converts to one of const elements, never back") {
  auto memory = iota(6);
  const view<float, 2> v(memory.data(), {2, 3}, {1, 2});
  const view<const float, 2> c = v;
  CHECK(c.data() == v.data());
  CHECK(c.extents() == v.extents());
  CHECK(c.strides() == v.strides());
  // The refusal is a constructor whose body does not compile, so that it can speak: see compile_fail/const_output.cpp.
  static_assert(std::is_trivially_copyable_v<view<float, 4>>);
  static_assert(!std::is_convertible_v<float*, view<float, 1>>);
}

TEST_CASE("an index into the first axis leaves the others as they are") {
  auto memory = iota(24);
  const view<float, 3> v(memory.data(), {2, 3, 4});
  CHECK(v[1][2](3) == v(1, 2, 3));
  CHECK(v[1].extents() == view<float, 2>::index_array{3, 4});
  CHECK(v[1].strides() == view<float, 2>::index_array{4, 1});
}

TEST_CASE("slice keeps the strides and moves the start") {
  auto memory = iota(24);
  const view<float, 3> v(memory.data(), {2, 3, 4});
  const auto middle = slice(v, 2, 1, 2);
  CHECK(middle.extents() == view<float, 3>::index_array{2, 3, 2});
  CHECK(middle.strides() == v.strides());
  for (index_t i = 0; i < 2; ++i)
    for (index_t j = 0; j < 3; ++j)
      for (index_t k = 0; k < 2; ++k) CHECK(middle(i, j, k) == v(i, j, k + 1));
  CHECK(slice(v, 1, 3, 0).size() == 0);
  CHECK(slice(v, 0, 0, 2) == v);
}

TEST_CASE("reversed reads one axis backwards, and twice is the same view") {
  auto memory = iota(24);
  const view<float, 3> v(memory.data(), {2, 3, 4});
  for (int axis = 0; axis < 3; ++axis) {
    CAPTURE(axis);
    const auto r = reversed(v, axis);
    CHECK(r.stride(axis) == -v.stride(axis));
    CHECK(reversed(r, axis) == v);
  }
  CHECK(reversed(v, 1)(1, 0, 3) == v(1, 2, 3));
  const view<float, 2> empty(memory.data(), {0, 4});
  CHECK(reversed(empty, 0).data() == memory.data());  // no element, so nothing before the first
}

TEST_CASE("broadcast repeats a tensor along a new first axis and can only be read") {
  auto memory = iota(6);
  const view<float, 2> v(memory.data(), {2, 3});
  const auto all = broadcast(v, 4);
  static_assert(std::is_same_v<decltype(all), const view<const float, 3>>);
  CHECK(all.extents() == view<float, 3>::index_array{4, 2, 3});
  CHECK(all.stride(0) == 0);
  for (index_t i = 0; i < 4; ++i) CHECK(all[i] == view<const float, 2>(v));
}

TEST_CASE("split_heads shows channels as heads, also through strides") {
  auto memory = iota(2 * 3 * 40);
  const view<float, 3> dense(memory.data(), {2, 3, 40});
  const auto heads = split_heads(dense, 8);
  CHECK(heads.extents() == view<float, 4>::index_array{2, 3, 5, 8});
  for (index_t c = 0; c < 40; ++c) CHECK(heads(1, 2, c / 8, c % 8) == dense(1, 2, c));
  const auto part = split_heads(slice(dense, 2, 8, 16), 8);  // heads 1 and 2 of the same tokens
  CHECK(part(1, 2, 1, 7) == heads(1, 2, 2, 7));
  CHECK(part.stride(1) == 40);
}

TEST_CASE("views work in constant expressions") {
  static constexpr float memory[6] = {0, 1, 2, 3, 4, 5};
  constexpr view<const float, 2> v(memory, {2, 3});
  static_assert(v(1, 1) == 4.0f);
  static_assert(reversed(v, 1)(0, 0) == 2.0f);
  static_assert(slice(v, 1, 1, 2)(1, 1) == 5.0f);
  CHECK(true);
}
