// SPDX-License-Identifier: MIT
#include "rwkv7/ops/bonus.hpp"

#include <doctest/doctest.h>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// H_k = H_kv and H_v is H_kv too, or H.
struct operands {
  index_t H_v;
  parameter<2> r_k;
  explicit operands(const problem& p)
      : H_v(p.N % 2 == 0 ? p.H_kv : p.H), r_k({p.H, p.N}, p.type, "r_k", 0, 1, layout::padded) {}
};

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  const operands o(p);
  tensor<T, 4> r({p.B, p.T, p.H, p.N}, p.how), k({p.B, p.T, p.H_kv, p.N}, p.how), v({p.B, p.T, o.H_v, p.N}, p.how);
  tensor<T, 4> y = r;
  p.fill(r, "r");
  p.fill(k, "k");
  p.fill(v, "v");
  p.fill(y, "y");
  for (const auto& at : pieces(p))
    bonus(exec, bonus_inputs<T>{.r = at.in(r), .k = at.in(k), .v = at.in(v), .r_k = o.r_k}, at.out(y));
  return collect<T>(y);
};

outputs<double> formula(const problem& p) {
  const operands o(p);
  const index_t tokens = p.B * p.T;
  const auto values = [&](const char* name, index_t H) { return pattern(name, tokens * H * p.N, 0, unit_scale); };
  const auto r = values("r", p.H), k = values("k", p.H_kv), v = values("v", o.H_v), y = values("y", p.H);
  std::vector<double> sum(y.begin(), y.end());
  for (index_t i = 0; i < tokens * p.H * p.N; ++i) {
    const index_t t = i / p.N / p.H, h = i / p.N % p.H, n = i % p.N;
    const index_t key = (t * p.H_kv + h * p.H_kv / p.H) * p.N, value = (t * o.H_v + h * o.H_v / p.H) * p.N;
    long double scalar = 0;
    for (index_t j = 0; j < p.N; ++j)
      scalar += static_cast<long double>(r[static_cast<std::size_t>(i - n + j)]) *
                k[static_cast<std::size_t>(key + j)] * static_cast<long double>(o.r_k[h * p.N + j]);
    sum[static_cast<std::size_t>(i)] += static_cast<double>(scalar * v[static_cast<std::size_t>(value + n)]);
  }
  return {sum};
}

}  // namespace

TEST_CASE("bonus adds v times a weighted product of r and k, one number for each head") {
  check_definition(problems_with_heads(), run, formula);
  check_rounded_once(problems_with_heads(), run);
}

TEST_CASE("bonus on a cpu is within the budget of a reduction over N") {
  check_cpu(problems_with_heads(), run, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
}

TEST_CASE("bonus does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("bonus in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("bonus names the operand that is wrong and writes nothing") {
  tensor<float, 4> r({2, 3, 4, 8}), k({2, 3, 2, 8}), v({2, 3, 1, 8}), y = r;
  tensor<float, 2> r_k({4, 8});
  const auto refuses = [&](const char* text, const bonus_inputs<float>& in, view<float, 4> y_) {
    check_refused(text, validate_bonus(in, y_), [&](auto& exec) { bonus(exec, in, y_); });
    CHECK((r.untouched() && k.untouched() && v.untouched() && y.untouched()));
  };
  const bonus_inputs<float> good{.r = r, .k = k, .v = v, .r_k = r_k.in()};
  auto bad = [&](auto change) {
    auto in = good;
    change(in);
    return in;
  };
  refuses("rwkv7::bonus: k axis T: got 2, want 3", bad([&](auto& in) { in.k = resized(in.k, 1, 2); }), y.out());
  refuses("rwkv7::bonus: v axis N: got 7, want 8", bad([&](auto& in) { in.v = resized(in.v, 3, 7); }), y.out());
  refuses("rwkv7::bonus: r_k axis H: got 3, want 4", bad([&](auto& in) { in.r_k = resized(r_k.in(), 0, 3); }), y.out());
  refuses("rwkv7::bonus: y axis H: got 3, want 4", good, resized(y.out(), 2, 3));
  refuses("rwkv7::bonus: k heads: got 3, want a divisor of H = 4", bad([&](auto& in) { in.k = resized(in.r, 2, 3); }),
          y.out());
  refuses("rwkv7::bonus: v heads: got 3, want a divisor of H = 4", bad([&](auto& in) { in.v = resized(in.r, 2, 3); }),
          y.out());
  refuses("rwkv7::bonus: r: not given", bad([&](auto& in) { in.r = absent(r); }), y.out());
  refuses("rwkv7::bonus: k: not given", bad([&](auto& in) { in.k = {}; }), y.out());
  refuses("rwkv7::bonus: v: not given", bad([&](auto& in) { in.v = {}; }), y.out());
  refuses("rwkv7::bonus: r_k: not given", bad([&](auto& in) { in.r_k = {}; }), y.out());
  refuses("rwkv7::bonus: y: not given", good, {});
  refuses("rwkv7::bonus: r axis N: got stride 2, want 1", bad([&](auto& in) { in.r = every_second(in.r); }), y.out());
  refuses("rwkv7::bonus: r_k axis N: got stride 2, want 1", bad([&](auto& in) { in.r_k = every_second(r_k.in()); }),
          y.out());
  refuses("rwkv7::bonus: y overlaps r", good, r.out());
  refuses("rwkv7::bonus: y overlaps k", bad([&](auto& in) { in.k = slice(y.in(), 2, 1, 2); }), y.out());
  refuses("rwkv7::bonus: y overlaps v", bad([&](auto& in) { in.v = slice(y.in(), 2, 3, 1); }), y.out());
}
