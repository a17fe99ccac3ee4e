// SPDX-License-Identifier: MIT
// A back end of one's own: a tag and kernels in a namespace of the user. Nothing in rwkv7 knows of it, nothing is
// registered; an operation finds the kernel by the executor's tag. The call site stays the same.
#include "rwkv7/exec/launch.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/layer_norm.hpp"
#include "rwkv7/ops/linear.hpp"

namespace someone {

struct tag {};

struct recorder {
  using backend_tag = tag;
  std::vector<std::string> launched;
};

/// For every element type.
template <class T>
void layer_norm_kernel(tag, recorder& exec, const rwkv7::layer_norm_inputs<T>& in, const rwkv7::view<T, 3>& y) {
  exec.launched.push_back(std::is_same_v<T, double> ? "layer_norm in double" : "layer_norm in float");
  for (rwkv7::index_t b = 0; b < y.extent(0); ++b)
    for (rwkv7::index_t t = 0; t < y.extent(1); ++t)
      for (rwkv7::index_t c = 0; c < y.extent(2); ++c) y(b, t, c) = in.x(b, t, c) + T(in.eps);
}

/// For one.
void linear_kernel(tag, recorder& exec, const rwkv7::linear_inputs<float>&, const rwkv7::view<float, 3>& y) {
  exec.launched.push_back("linear in float");
  y(0, 0, 0) = 7;
}

/// A back end that changes one operation of another and takes over the rest of it.
struct derived_tag : rwkv7::backend::reference::tag {};
struct derived_executor {
  using backend_tag = derived_tag;
};
template <class T>
void layer_norm_kernel(derived_tag, derived_executor&, const rwkv7::layer_norm_inputs<T>&, const rwkv7::view<T, 3>& y) {
  y(0, 0, 0) = 42;
}

}  // namespace someone

using rwkv7::view;

namespace {

template <class T>
struct norm {
  std::vector<T> x = {1, 2, 3, 4}, y = std::vector<T>(4);
  std::vector<float> w = {1, 1, 1, 1};
  rwkv7::layer_norm_inputs<T> in{.x = view<const T, 3>(x.data(), {1, 1, 4}),
                                 .weight = view<const float, 1>(w.data(), {4}),
                                 .bias = view<const float, 1>(w.data(), {4}),
                                 .eps = 0.5};
  view<T, 3> out{y.data(), {1, 1, 4}};
};

}  // namespace

TEST_CASE_TEMPLATE("an operation launches the kernel of the user's back end", T, float, double) {
  someone::recorder exec;
  norm<T> n;
  rwkv7::layer_norm(exec, n.in, n.out);
  REQUIRE(exec.launched.size() == 1);
  CHECK(exec.launched[0] == (std::is_same_v<T, double> ? "layer_norm in double" : "layer_norm in float"));
  CHECK(n.y == std::vector<T>{T(1.5), T(2.5), T(3.5), T(4.5)});
}

TEST_CASE("the checks at the edge stand before the user's kernel too") {
  someone::recorder exec;
  norm<float> n;
  CHECK_THROWS_WITH_AS(rwkv7::layer_norm(exec, n.in, slice(n.out, 2, 0, 3)),
                       "rwkv7::layer_norm: y axis C: got 3, want 4", rwkv7::error);
  CHECK(exec.launched.empty());
}

TEST_CASE("a kernel for one element type serves that type") {
  someone::recorder exec;
  std::vector<float> x = {1, 2}, y(1);
  rwkv7::linear(exec,
                rwkv7::linear_inputs<float>{.x = view<const float, 3>(x.data(), {1, 1, 2}),
                                            .weight = view<const float, 2>(x.data(), {1, 2})},
                view<float, 3>(y.data(), {1, 1, 1}));
  CHECK(exec.launched == std::vector<std::string>{"linear in float"});
  CHECK(y[0] == 7);  // for double it does not compile: compile_fail/missing_kernel.cpp
}

TEST_CASE("a back end may build on another and replace one operation") {
  someone::derived_executor exec;
  norm<float> n;
  rwkv7::layer_norm(exec, n.in, n.out);
  CHECK(n.y[0] == 42);
  std::vector<float> x = {1, 2}, y(1);
  rwkv7::linear(exec,
                rwkv7::linear_inputs<float>{.x = view<const float, 3>(x.data(), {1, 1, 2}),
                                            .weight = view<const float, 2>(x.data(), {1, 2})},
                view<float, 3>(y.data(), {1, 1, 1}));
  CHECK(y[0] == 5);
}

TEST_CASE("float and double compute; activations may be bf16 and f16, too, and are computed in float") {
  static_assert(rwkv7::compute_element<float> && rwkv7::compute_element<double>);
  static_assert(!rwkv7::compute_element<rwkv7::bf16> && !rwkv7::compute_element<rwkv7::f16>);
  static_assert(!rwkv7::compute_element<long double> && !rwkv7::compute_element<int>);
  static_assert(rwkv7::activation_element<float> && rwkv7::activation_element<double>);
  static_assert(rwkv7::activation_element<rwkv7::bf16> && rwkv7::activation_element<rwkv7::f16>);
  static_assert(!rwkv7::activation_element<long double> && !rwkv7::activation_element<int>);
  static_assert(std::is_same_v<rwkv7::compute_type<rwkv7::f16>, float>);
  static_assert(std::is_same_v<rwkv7::compute_type<double>, double>);
  CHECK(true);
}
