// SPDX-License-Identifier: MIT
#include "rwkv7/adapt/span.hpp"

#include <doctest/doctest.h>

#include <array>
#include <span>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

using rwkv7::as_view;
using rwkv7::index_t;
using rwkv7::view;

TEST_CASE("a vector, an array, a C array and a span become dense views of their memory") {
  std::vector<float> v(24);
  std::array<double, 6> a{};
  float c[6] = {};
  const auto of_vector = as_view(v, {2, 3, 4});
  static_assert(std::is_same_v<decltype(of_vector), const view<float, 3>>);
  CHECK(of_vector == view<float, 3>(v.data(), {2, 3, 4}));
  CHECK(as_view(a, {2, 3}) == view<double, 2>(a.data(), {2, 3}));
  CHECK(as_view(c, {6}) == view<float, 1>(c, {6}));
  CHECK(as_view(std::span(v).subspan(4, 8), {2, 4}) == view<float, 2>(v.data() + 4, {2, 4}));
}

TEST_CASE("const memory becomes a view of const elements") {
  const std::vector<float> v(6);
  std::vector<float> w(6);
  static_assert(std::is_same_v<decltype(as_view(v, {2, 3})), view<const float, 2>>);
  static_assert(std::is_same_v<decltype(as_view(std::span<const float>(w), {2, 3})), view<const float, 2>>);
  static_assert(std::is_same_v<decltype(as_view(std::span<float>(w), {2, 3})), view<float, 2>>);
  CHECK(as_view(v, {2, 3}).data() == v.data());
}

TEST_CASE("storage of 16 bits becomes weights") {
  const std::vector<rwkv7::bf16> memory(6);
  const rwkv7::weights<2> w = as_view(memory, {2, 3});
  CHECK(w.type() == rwkv7::dtype::bf16);
}

TEST_CASE("memory of another length is refused with both lengths") {
  std::vector<float> v(24);
  CHECK_THROWS_WITH_AS(as_view(v, {2, 3, 5}), "rwkv7::as_view: memory: got 24 elements, want 30", rwkv7::error);
  CHECK_THROWS_WITH_AS(as_view(v, {2, 3}), "rwkv7::as_view: memory: got 24 elements, want 6", rwkv7::error);
  CHECK_THROWS_AS(as_view(std::span<float>(), {1}), rwkv7::error);
}

TEST_CASE("no elements are a view of no elements") {
  std::vector<float> none;
  CHECK(as_view(none, {2, 0, 4}).size() == 0);
}

TEST_CASE("extents may be computed") {
  std::vector<float> v(24);
  const index_t B = 2, T = 3;
  CHECK(as_view(v, {B, T, 24 / (B * T)}).extent(2) == 4);
}

TEST_CASE("an operation reads and writes containers where they lie") {
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const std::array<float, 6> g = {2, 2, 2, 3, 3, 3};
  std::vector<float> y(6);
  rwkv7::gate(rwkv7::inline_executor{},
              rwkv7::gate_inputs<float>{.x = as_view(x, {1, 2, 3}), .g = as_view(g, {1, 2, 3})}, as_view(y, {1, 2, 3}));
  CHECK(y == std::vector<float>{2, 4, 6, 12, 15, 18});
}
