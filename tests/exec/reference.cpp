// SPDX-License-Identifier: MIT
#include "rwkv7/exec/reference.hpp"

#include <doctest/doctest.h>

#include <type_traits>
#include <vector>

#include "rwkv7/ops/layer_norm.hpp"
#include "rwkv7/ops/linear.hpp"
#include "support/pattern.hpp"

using rwkv7::index_t;
using rwkv7::view;

TEST_CASE("the reference executor is empty and runs on the calling thread alone") {
  static_assert(std::is_empty_v<rwkv7::reference_executor>);
  static_assert(rwkv7::executor<rwkv7::reference_executor> && !rwkv7::cpu_executor<rwkv7::reference_executor>);
  static_assert(std::is_same_v<rwkv7::reference_executor::backend_tag, rwkv7::backend::reference::tag>);
  CHECK(true);
}

TEST_CASE("float operands are computed in double and rounded once, at the end") {
  const index_t rows = 7, C = 200;
  const auto x = rwkv7_test::pattern("x", rows * C, 0, 1), w = rwkv7_test::pattern("w", C, 1, 1);
  const std::vector<double> wide(x.begin(), x.end());
  std::vector<float> y(x.size());
  std::vector<double> z(x.size());
  const rwkv7::weights<1> scale = view<const float, 1>(w.data(), {C});
  rwkv7::layer_norm(rwkv7::reference_executor{},
                    rwkv7::layer_norm_inputs<float>{
                        .x = view<const float, 3>(x.data(), {1, rows, C}), .weight = scale, .bias = scale},
                    view<float, 3>(y.data(), {1, rows, C}));
  rwkv7::layer_norm(rwkv7::reference_executor{},
                    rwkv7::layer_norm_inputs<double>{
                        .x = view<const double, 3>(wide.data(), {1, rows, C}), .weight = scale, .bias = scale},
                    view<double, 3>(z.data(), {1, rows, C}));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == static_cast<float>(z[i]));
}

TEST_CASE("a sum that float would lose is not lost") {
  const std::vector<float> x = {1e8f, 1.0f, -1e8f}, ones(3, 1.0f);
  float y = 0;
  rwkv7::linear(rwkv7::reference_executor{},
                rwkv7::linear_inputs<float>{.x = view<const float, 3>(x.data(), {1, 1, 3}),
                                            .weight = view<const float, 2>(ones.data(), {1, 3})},
                view<float, 3>(&y, {1, 1, 1}));
  CHECK(y == 1.0f);
}
