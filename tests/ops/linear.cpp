// SPDX-License-Identifier: MIT
#include "rwkv7/ops/linear.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "rwkv7/quant/pack.hpp"
#include "support/product.hpp"
#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

parameter<2> weight_of(const problem& p) { return {{p.out, p.N}, p.type, "weight", 0, 1, p.how}; }
parameter<2> weight_by_inputs(const problem& p) { return {{p.N, p.out}, p.type, "weight", 0, 1, p.how}; }

constexpr auto product = [](auto& exec, const problem& p, const auto& x, const weights<2>& weight, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> y({p.B, p.T, p.out}, p.how);
  for (const auto& at : pieces(p)) linear(exec, linear_inputs<T>{.x = at.in(x), .weight = weight}, at.out(y));
  return collect<T>(y);
};

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.N}, p.how);
  p.fill(x, "x");
  return product(exec, p, x, weight_of(p), zero);
};

/// Of each eight inputs, as many are zero as their position says: whole chains of them, and none.
bool is_zero(index_t i) { return i % 8 < i / 64 % 9; }

constexpr auto run_by_inputs = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.N}, p.how);
  p.fill(x, "x");
  x.generate([&](index_t i) { return is_zero(i) ? T{} : x[i]; });
  const auto stored = weight_by_inputs(p);
  return product(exec, p, x, weights<2>(stored).transposed(), zero);
};

outputs<double> formula(const problem& p) {
  const auto weight = weight_of(p);
  return product_of(p, pattern("x", p.B * p.T * p.N, 0, unit_scale),
                    [&](index_t o, index_t n) { return weight[o * p.N + n]; });
}

outputs<double> formula_by_inputs(const problem& p) {
  auto x = pattern("x", p.B * p.T * p.N, 0, unit_scale);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (is_zero(static_cast<index_t>(i))) x[i] = 0;
  const auto weight = weight_by_inputs(p);
  return product_of(p, x, [&](index_t o, index_t n) { return weight[n * p.out + o]; });
}

/// Few and many rows, widths and outputs, around the tiles of the kernel.
std::vector<problem> products() {
  std::vector<problem> all;
  for (const index_t N : widths) all.push_back({.N = N, .out = 19});
  for (const index_t out : widths) all.push_back({.T = 4, .N = 33, .out = out});
  for (const index_t T : lengths) all.push_back({.B = 1, .T = T, .N = 37, .out = 21});
  for (const index_t T : {1, 2, 3, 4, 5, 6, 9, 11, 13}) all.push_back({.B = 1, .T = T, .N = 48, .out = 40});
  for (const layout how : layouts)
    for (const auto type : dtypes) all.push_back({.T = 7, .N = 35, .out = 11, .how = how, .type = type});
  for (const auto type : dtypes) all.push_back({.T = 2, .N = 1030, .out = 17, .type = type});
  // Several blocks of inputs, and enough weights for one row alone to be computed another way than nine.
  for (const auto type : dtypes) all.push_back({.B = 1, .T = 9, .N = 2100, .out = 131, .type = type});
  all.push_back({.B = 0, .out = 3});
  all.push_back({.N = 0, .out = 3});
  return all;
}

}  // namespace

TEST_CASE("linear is the product with every row of the weight") {
  check_definition(products(), run, formula);
  check_rounded_once(products(), run);
}

TEST_CASE("linear on a cpu is within the budget of a reduction over its inputs; a row alone gives the same bits") {
  check_cpu(products(), run, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
}

TEST_CASE("linear takes weights that lie by inputs: the definition, its budget, the bits of a row alone") {
  auto all = products();
  // Several panels of inputs, with registers left over; rows by groups of six, four, two and one.
  for (const index_t T : {6, 7, 13}) all.push_back({.B = 1, .T = T, .N = 515, .out = 75});
  check_definition(all, run_by_inputs, formula_by_inputs);
  check_cpu(all, run_by_inputs, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
  check_other_types(all, {.B = 3, .T = 40, .N = 129, .out = 611}, run_by_inputs);
  for (const auto type : dtypes)
    check_determinism({.B = 3, .T = 40, .N = 300, .out = 611, .type = type}, run_by_inputs);
}

TEST_CASE("weights of an input that is zero are not read, when there is one row") {
  // They are signalling: NaN wherever they are read.
  const float lost = std::numeric_limits<float>::quiet_NaN();
  tensor<float, 3> x({1, 1, 100}), y({1, 1, 40});
  tensor<float, 2> stored({100, 40});
  x.generate([](index_t i) { return i % 3 == 0 ? 1.0f : 0.0f; });
  stored.generate([&](index_t i) { return i / 40 % 3 == 0 ? 2.0f : lost; });
  auto exec = one_thread();
  linear(exec, linear_inputs<float>{.x = x, .weight = weights<2>(stored.in()).transposed()}, y.out());
  for (index_t o = 0; o < 40; ++o) CHECK(y[o] == 68.0f);
}

TEST_CASE("linear adds a bias to the finished sum, whatever the weights are") {
  const problem p{.T = 9, .N = 160, .out = 37};
  const parameter<1> bias({p.out}, dtype::bf16, "bias", 0, 1);
  const auto add = [&](auto& exec, const weights<2>& weight) {
    tensor<float, 3> x({p.B, p.T, p.N}), y({p.B, p.T, p.out}), want = y;
    p.fill(x, "x");
    linear(exec, linear_inputs<float>{.x = x, .weight = weight}, want.out());
    linear(exec, linear_inputs<float>{.x = x, .weight = weight, .bias = bias}, y.out());
    for (index_t i = 0; i < y.size(); ++i) CHECK(y[i] == want[i] + static_cast<float>(bias[i % p.out]));
  };
  const auto weight = weight_of(p), stored = weight_by_inputs(p);
  std::vector<std::byte> packed(quantised_size(dtype::int8, p.out, p.N));
  const std::vector<float> values = pattern("weight", p.out * p.N, 0, 1);
  quant::pack(dtype::int8, view<const float, 2>(values.data(), {p.out, p.N}), packed);
  for_each_cpu_executor([&](auto& exec) {
    add(exec, weight);
    add(exec, weights<2>(stored).transposed());
    add(exec, weights<2>(packed.data(), dtype::int8, {p.out, p.N}));
  });
  check_definition(
      {p},
      [&](auto& exec, const problem& q, auto zero) {
        using T = decltype(zero);
        tensor<T, 3> x({q.B, q.T, q.N}), y({q.B, q.T, q.out});
        q.fill(x, "x");
        linear(exec, linear_inputs<T>{.x = x, .weight = weight, .bias = bias}, y.out());
        return collect<T>(y);
      },
      [&](const problem& q) {
        auto y = formula(q);
        for (std::size_t i = 0; i < y[0].size(); ++i)
          y[0][i] += static_cast<double>(bias[static_cast<index_t>(i) % q.out]);
        return y;
      });
}

TEST_CASE("linear does not depend on threads, neighbours or cuts") {
  for (const auto type : dtypes) check_determinism({.B = 3, .T = 40, .N = 129, .out = 611, .type = type}, run);
}

TEST_CASE("linear of one row does not depend on threads") {
  const problem p{.B = 1, .T = 1, .N = 1024, .out = 8211};
  auto exec = one_thread();
  const auto once = run(exec, p, 0.0f);
  for_each_threading([&](auto& threads) { CHECK(same_bits(once, run(threads, p, 0.0f))); });
}

TEST_CASE("linear in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(products(), {.B = 3, .T = 40, .N = 129, .out = 611}, run);
}

TEST_CASE("linear names the operand that is wrong and writes nothing") {
  tensor<float, 3> x({2, 3, 4}), y({2, 3, 5});
  tensor<float, 2> weight({5, 4});
  const auto refuses = [&](const char* text, view<const float, 3> x_, weights<2> w, view<float, 3> y_) {
    const linear_inputs<float> in{.x = x_, .weight = w};
    check_refused(text, validate_linear(in, y_), [&](auto& exec) { linear(exec, in, y_); });
    CHECK((x.untouched() && y.untouched()));
  };
  const weights<2> w = weight.in();
  refuses("rwkv7::linear: weight axis in: got 4, want 3", resized(x.in(), 2, 3), w, y.out());
  refuses("rwkv7::linear: y axis out: got 4, want 5", x, w, resized(y.out(), 2, 4));
  refuses("rwkv7::linear: y axis T: got 2, want 3", x, w, resized(y.out(), 1, 2));
  refuses("rwkv7::linear: x: not given", absent(x), w, y.out());
  refuses("rwkv7::linear: weight: not given", x, {}, y.out());
  refuses("rwkv7::linear: y: not given", x, w, {});
  refuses("rwkv7::linear: x axis in: got stride 2, want 1", every_second(x.in()), w, y.out());
  refuses("rwkv7::linear: weight axis in: got stride 2, want 1", x, every_second(weight.in()), y.out());
  refuses("rwkv7::linear: y axis out: got stride 2, want 1", x, w, every_second(y.out()));
  refuses("rwkv7::linear: y overlaps x", slice(y.in(), 2, 0, 4), w, y.out());
  refuses("rwkv7::linear: y axis 0: stride 0 cannot be written (a broadcast tensor is read only)", x, w,
          view<float, 3>(y.out().data(), {2, 3, 5}, {0, 5, 1}));
}

TEST_CASE("linear names a bias of another length") {
  tensor<float, 3> x({2, 3, 4}), y({2, 3, 5});
  tensor<float, 2> weight({5, 4});
  tensor<float, 1> bias({4});
  const linear_inputs<float> in{.x = x, .weight = weight.in(), .bias = bias.in()};
  check_refused("rwkv7::linear: bias axis out: got 4, want 5", validate_linear(in, y.out()),
                [&](auto& exec) { linear(exec, in, y.out()); });
  CHECK(y.untouched());
}

TEST_CASE("linear reads and writes interleaved slices of one buffer") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    tensor<T, 3> both({2, 3, 4 + 5}), x({2, 3, 4}), y({2, 3, 5});
    fill(both, "both");
    const parameter<2> weight({5, 4}, dtype::f32, "weight", 0, 1);
    x.generate([&](index_t i) { return both[i / 4 * 9 + i % 4]; });
    linear(exec, linear_inputs<T>{.x = x, .weight = weight}, y.out());
    const auto part = slice(both.out(), 2, 4, 5);
    linear(exec, linear_inputs<T>{.x = slice(both.in(), 2, 0, 4), .weight = weight}, part);
    for (index_t i = 0; i < y.size(); ++i) CHECK(part(i / 15, i / 5 % 3, i % 5) == y[i]);
  });
}
