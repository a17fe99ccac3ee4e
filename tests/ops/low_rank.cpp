// SPDX-License-Identifier: MIT
#include "rwkv7/ops/low_rank.hpp"

#include <doctest/doctest.h>
#include <cmath>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// What lies between and behind the matrices, and whether there is a bias: w, a and v, g, and the plainest.
struct kind {
  activation inner, outer;
  bool bias;
};
constexpr kind kinds[] = {
    {activation::tanh, activation::identity, true},     {activation::identity, activation::sigmoid, true},
    {activation::sigmoid, activation::identity, false}, {activation::identity, activation::identity, false},
    {activation::identity, activation::tanh, true},
};

struct operands {
  parameter<2> in, out;
  parameter<1> bias;
  explicit operands(const problem& p)
      : in({p.N, p.rank}, p.type, "in", 0, std::sqrt(3 / float(p.N)), p.how),
        out({p.rank, p.out}, p.type, "out", 0, std::sqrt(3 / float(p.rank)), p.how),
        bias({p.out}, p.type, "bias", 0.3f, 1) {}
};

/// Outputs the hidden values and the result.
constexpr auto run_kind(const kind& k) {
  return [k](auto& exec, const problem& p, auto zero) {
    using T = decltype(zero);
    tensor<T, 3> x({p.B, p.T, p.N}, p.how), hidden({p.B, p.T, p.rank}, p.how), y({p.B, p.T, p.out}, p.how);
    p.fill(x, "x");
    const operands o(p);
    low_rank_weights weight{.in = o.in, .out = o.out};
    if (k.bias) weight.bias = o.bias;
    for (const auto& at : pieces(p))
      low_rank(exec, low_rank_inputs<T>{.x = at.in(x), .weight = weight, .inner = k.inner, .outer = k.outer},
               {.hidden = at.out(hidden), .y = at.out(y)});
    return collect<T>(hidden, y);
  };
}

/// The same on floats or doubles where p.values names 16 bits: the hidden values are rounded to it between the
/// products, of which the second is a map of its own behind a matrix that changes nothing.
constexpr auto run_in_two(const kind& k) {
  return [k](auto& exec, const problem& p, auto zero) {
    using T = decltype(zero);
    const auto run = run_kind(k);
    auto all = run(exec, p, zero);
    if constexpr (!half_element<T>) {
      tensor<T, 3> x({p.B, p.T, p.rank}), hidden = x, y({p.B, p.T, p.out});
      x.assign(all[0]);
      p.round(x);
      tensor<float, 2> same({p.rank, p.rank});
      same.generate([&](index_t i) { return i % (p.rank + 1) == 0 ? 1.0f : 0.0f; });
      const operands o(p);
      low_rank_weights weight{.in = same.in(), .out = o.out};
      if (k.bias) weight.bias = o.bias;
      low_rank(exec, low_rank_inputs<T>{.x = x, .weight = weight, .outer = k.outer},
               {.hidden = hidden.out(), .y = y.out()});
      all[1] = y.values();
    }
    return all;
  };
}

long double activated(activation act, long double x) {
  if (act == activation::tanh) return std::tanh(x);
  if (act == activation::sigmoid) return 1 / (1 + std::exp(-x));
  return x;
}

outputs<double> formula(const kind& k, const problem& p) {
  const auto x = pattern("x", p.B * p.T * p.N, 0, unit_scale);
  const operands o(p);
  outputs<double> y(2);
  for (index_t token = 0; token < p.B * p.T; ++token) {
    std::vector<long double> hidden(static_cast<std::size_t>(p.rank), 0), sum(static_cast<std::size_t>(p.out), 0);
    for (index_t i = 0; i < p.N * p.rank; ++i)
      hidden[static_cast<std::size_t>(i % p.rank)] +=
          o.in[i] * static_cast<long double>(x[static_cast<std::size_t>(token * p.N + i / p.rank)]);
    for (auto& h : hidden) y[0].push_back(static_cast<double>(h = activated(k.inner, h)));
    for (index_t i = 0; i < p.rank * p.out; ++i)
      sum[static_cast<std::size_t>(i % p.out)] += o.out[i] * hidden[static_cast<std::size_t>(i / p.out)];
    for (std::size_t d = 0; d < sum.size(); ++d)
      y[1].push_back(static_cast<double>(
          activated(k.outer, sum[d] + (k.bias ? static_cast<long double>(o.bias[static_cast<index_t>(d)]) : 0))));
  }
  return y;
}

std::vector<problem> products() {
  std::vector<problem> all;
  for (const index_t width : widths) {
    all.push_back({.N = width, .out = 19, .rank = 6});
    all.push_back({.N = 21, .out = width, .rank = 5});
    all.push_back({.N = 24, .out = 9, .rank = width});
  }
  for (const index_t T : lengths) all.push_back({.T = T, .N = 37, .out = 35, .rank = 7});
  for (const layout how : layouts)
    for (const auto type : dtypes) all.push_back({.N = 35, .out = 43, .rank = 11, .how = how, .type = type});
  all.push_back({.B = 1, .T = 1, .N = 40, .out = 70, .rank = 36});
  all.push_back({.B = 0});
  return all;
}

}  // namespace

TEST_CASE("low_rank is two products with a function behind each") {
  for (const auto& k : kinds)
    check_definition(products(), run_kind(k), [&](const problem& p) { return formula(k, p); });
}

TEST_CASE("low_rank on a cpu is within the budget of its two reductions; a row alone gives the same bits") {
  for (const auto& k : kinds)
    check_cpu(products(), run_kind(k), by_relative_l2,
              [](auto& p) { return budget::reduction(p.N) + budget::reduction(p.rank); });
}

TEST_CASE("low_rank does not depend on threads, neighbours or cuts") {
  for (const auto type : dtypes)
    check_determinism({.B = 3, .T = 40, .N = 257, .out = 515, .rank = 41, .type = type}, run_kind(kinds[0]));
}

TEST_CASE("low_rank of one row does not depend on threads") {
  const problem p{.B = 1, .T = 1, .N = 2048, .out = 8211, .rank = 1100};
  auto exec = one_thread();
  const auto once = run_kind(kinds[1])(exec, p, 0.0f);
  for_each_threading([&](auto& threads) { CHECK(same_bits(once, run_kind(kinds[1])(threads, p, 0.0f))); });
}

TEST_CASE("low_rank in bf16 and f16 is that of float, hidden values and result rounded once each") {
  for (const auto& k : kinds) {
    check_half<bf16>(products(), run_in_two(k));
    check_half<f16>(products(), run_in_two(k));
  }
}

TEST_CASE("low_rank in double is that of the reference executor") {
  for (const auto& k : kinds) check_double(products(), run_kind(k));
}

TEST_CASE("low_rank in other types than float does not depend on threads, neighbours or cuts") {
  const problem p{.B = 3, .T = 40, .N = 257, .out = 515, .rank = 41};
  check_determinism(p, run_kind(kinds[0]), bf16{});
  check_determinism(p, run_kind(kinds[0]), f16{});
  check_determinism(p, run_kind(kinds[0]), 0.0);
}

TEST_CASE("low_rank names the operand that is wrong and writes nothing") {
  tensor<float, 3> x({2, 3, 4}), hidden({2, 3, 5}), y({2, 3, 6});
  tensor<float, 2> M_in({4, 5}), M_out({5, 6});
  tensor<float, 1> bias({6});
  const low_rank_inputs<float> in{.x = x, .weight = {.in = M_in.in(), .out = M_out.in(), .bias = bias.in()}};
  const low_rank_outputs<float> out{.hidden = hidden.out(), .y = y.out()};
  const auto refuses = [&](const char* text, auto change) {
    auto in_ = in;
    auto out_ = out;
    change(in_, out_);
    check_refused(text, validate_low_rank(in_, out_), [&](auto& exec) { low_rank(exec, in_, out_); });
    CHECK((x.untouched() && hidden.untouched() && y.untouched()));
  };
  refuses("rwkv7::low_rank: weight.in axis C: got 3, want 4",
          [&](auto& i, auto&) { i.weight.in = resized(M_in.in(), 0, 3); });
  refuses("rwkv7::low_rank: weight.out axis rank: got 4, want 5",
          [&](auto& i, auto&) { i.weight.out = resized(M_out.in(), 0, 4); });
  refuses("rwkv7::low_rank: weight.bias axis D: got 5, want 6",
          [&](auto& i, auto&) { i.weight.bias = resized(bias.in(), 0, 5); });
  refuses("rwkv7::low_rank: hidden axis rank: got 4, want 5",
          [](auto&, auto& o) { o.hidden = resized(o.hidden, 2, 4); });
  refuses("rwkv7::low_rank: y axis D: got 5, want 6", [&](auto&, auto& o) { o.y = hidden.out(); });
  refuses("rwkv7::low_rank: x: not given", [&](auto& i, auto&) { i.x = absent(x); });
  refuses("rwkv7::low_rank: weight.in: not given", [](auto& i, auto&) { i.weight.in = {}; });
  refuses("rwkv7::low_rank: weight.out: not given", [](auto& i, auto&) { i.weight.out = {}; });
  refuses("rwkv7::low_rank: hidden: not given", [](auto&, auto& o) { o.hidden = {}; });
  refuses("rwkv7::low_rank: y: not given", [](auto&, auto& o) { o.y = {}; });
  refuses("rwkv7::low_rank: x axis C: got stride 2, want 1", [](auto& i, auto&) { i.x = every_second(i.x); });
  refuses("rwkv7::low_rank: weight.out axis D: got stride 2, want 1",
          [&](auto& i, auto&) { i.weight.out = every_second(M_out.in()); });
  refuses("rwkv7::low_rank: y axis D: got stride 2, want 1", [](auto&, auto& o) { o.y = every_second(o.y); });
  refuses("rwkv7::low_rank: hidden overlaps x", [&](auto& i, auto&) { i.x = slice(hidden.in(), 2, 1, 4); });
  refuses("rwkv7::low_rank: y overlaps x", [&](auto& i, auto&) { i.x = slice(y.in(), 2, 1, 4); });
  refuses("rwkv7::low_rank: y overlaps hidden", [&](auto&, auto& o) { o.hidden = slice(y.out(), 2, 0, 5); });
}
