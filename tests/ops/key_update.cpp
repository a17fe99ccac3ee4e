// SPDX-License-Identifier: MIT
#include "rwkv7/ops/key_update.hpp"

#include <doctest/doctest.h>
#include <cmath>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// Whose k_k there is.
enum class removal { of_group, of_head, none };

template <removal By = removal::of_group>
parameter<1> k_k_of(const problem& p) {
  return {{(By == removal::of_head ? p.H : p.H_kv) * p.N}, p.type, "k_k", 0.8f, 0.3f};
}
parameter<1> k_a_of(const problem& p) { return {{p.H * p.N}, p.type, "k_a", 1, 0.4f}; }

/// Outputs k', a and b. In place, k' is written onto k where they are equally large, and b onto eta.
template <key_rule Rule = key_rule::k_a, removal By = removal::of_group>
constexpr auto run_as = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 4> k({p.B, p.T, p.H_kv, p.N}, p.how), eta({p.B, p.T, p.H, p.N}, p.how);
  tensor<T, 4> y_k = eta, y_a = eta, y_b = eta, w = eta;
  p.fill(k, "k");
  p.fill(eta, "eta", 0.5f, 0.5f);
  p.fill(w, "w", -1, 9);
  const auto k_k = k_k_of<By>(p), k_a = k_a_of(p);
  auto &to_k = p.in_place && p.H == p.H_kv ? k : y_k, &to_b = p.in_place ? eta : y_b;
  for (const auto& at : pieces(p))
    key_update(exec,
               key_update_inputs<T>{.k = at.in(k),
                                    .eta = at.in(eta),
                                    .k_k = By == removal::none ? weights<1>{} : weights<1>(k_k),
                                    .k_a = Rule == key_rule::k_a ? weights<1>(k_a) : weights<1>{},
                                    .rule = Rule,
                                    .w = Rule == key_rule::k_a ? view<const T, 4>{} : at.in(w),
                                    .offset = p.N % 2 == 0 ? decay_offset::half : decay_offset::six_tenths},
               {.k = at.out(to_k), .a = at.out(y_a), .b = at.out(to_b)});
  return collect<T>(to_k, y_a, to_b);
};
constexpr auto run = run_as<>;

template <key_rule Rule = key_rule::k_a, removal By = removal::of_group>
outputs<double> formula(const problem& p) {
  const auto k = pattern("k", p.B * p.T * p.H_kv * p.N, 0, unit_scale);
  const auto eta = pattern("eta", p.B * p.T * p.H * p.N, 0.5f, 0.5f);
  const auto w = pattern("w", p.B * p.T * p.H * p.N, -1, 9);
  const auto k_k = k_k_of<By>(p), k_a = k_a_of(p);
  outputs<double> y(3);
  for (std::size_t i = 0; i < eta.size(); ++i) {
    const auto at = static_cast<index_t>(i), head = at / p.N % p.H, group = head * p.H_kv / p.H, n = at % p.N;
    const auto first = static_cast<std::size_t>((at / p.N / p.H * p.H_kv + group) * p.N);
    const auto removal_of = [&](index_t j) -> long double {
      return By == removal::none ? 1 : k_k[(By == removal::of_head ? head : group) * p.N + j];
    };
    long double squares = 0;
    for (index_t j = 0; j < p.N; ++j) {
      const long double q = k[first + static_cast<std::size_t>(j)] * removal_of(j);
      squares += q * q;
    }
    const long double key = k[first + static_cast<std::size_t>(n)], rate = k_a[head * p.N + n];
    const long double direction = key * removal_of(n) / std::sqrt(squares);
    const long double omega = -std::log(1 + std::exp(-static_cast<long double>(w[i]))) - (p.N % 2 == 0 ? 0.5L : 0.6L);
    const long double factor = Rule == key_rule::k_a                        ? 1 - rate + rate * eta[i]
                               : Rule == key_rule::one_minus_omega_plus_eta ? 1 - omega + eta[i]
                                                                            : 1 - std::exp(-std::exp(omega)) + eta[i];
    y[0].push_back(static_cast<double>(key * factor));
    y[1].push_back(static_cast<double>(-direction));
    y[2].push_back(static_cast<double>(direction * eta[i]));
  }
  return y;
}

}  // namespace

TEST_CASE("key_update makes the written key, and a unit vector that is removed and replaced") {
  check_definition(problems_with_heads(), run, formula<>);
  check_rounded_once(problems_with_heads(), run);
}

TEST_CASE("key_update on a cpu is within the budget of a reduction over N") {
  check_cpu(problems_with_heads(), run, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
}

TEST_CASE("key_update multiplies keys by 1 - ω + eta or 1 - w + eta; k_k may be each head's own, or 1") {
  const auto check = [](auto as, auto want) {
    check_definition(problems_with_heads(), as, want);
    check_cpu(problems_with_heads(), as, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
    check_in_place(problems_with_heads(), as);
    check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, as);
  };
  constexpr auto omega = key_rule::one_minus_omega_plus_eta, decay = key_rule::one_minus_decay_plus_eta;
  check(run_as<omega, removal::none>, formula<omega, removal::none>);
  check(run_as<decay, removal::none>, formula<decay, removal::none>);
  check(run_as<key_rule::k_a, removal::of_head>, formula<key_rule::k_a, removal::of_head>);
}

TEST_CASE("key_update makes a of length 1, and b = -a ⊙ eta") {
  for_each_cpu_executor([](auto& exec) {
    const problem p{.T = 4, .N = 64};
    const auto y = run(exec, p, 0.0f);
    const auto eta = pattern("eta", p.B * p.T * p.N, 0.5f, 0.5f);
    for (std::size_t head = 0; head < 8; ++head) {
      double squares = 0;
      for (std::size_t n = head * 64; n < (head + 1) * 64; ++n) {
        squares += std::pow(double(y[1][n]), 2);
        CHECK(y[2][n] == -y[1][n] * eta[n]);
      }
      CHECK(std::fabs(squares - 1) <= budget::reduction(64));
    }
  });
}

TEST_CASE("key_update divides a key shorter than eps by eps") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    const T k[] = {T(3e-13), 0, 0, T(4e-13), 0, 0}, eta[] = {1, 1, 1, 1, 1, 1};
    const float ones[] = {1, 1, 1, 1, 1, 1};
    T y[18] = {};
    const auto head = [](auto* at, index_t H) {
      return view<std::remove_pointer_t<decltype(at)>, 4>(at, {1, 1, H, 3});
    };
    const view<const float, 1> w(ones, {6});
    key_update(exec, key_update_inputs<T>{.k = head(k, 2), .eta = head(eta, 2), .k_k = w, .k_a = w},
               {.k = head(y, 2), .a = head(y + 6, 2), .b = head(y + 12, 2)});
    CHECK(max_abs(std::vector<T>(y + 6, y + 12), std::vector<double>{-0.3, 0, 0, -0.4, 0, 0}) <= budget::reduction(3));
    key_update(exec, key_update_inputs<T>{.k = head(k, 2), .eta = head(eta, 2), .k_k = w, .k_a = w, .eps = 1e-13},
               {.k = head(y, 2), .a = head(y + 6, 2), .b = head(y + 12, 2)});
    CHECK(max_abs(std::vector<T>(y + 6, y + 12), std::vector<double>{-1, 0, 0, -1, 0, 0}) <= budget::reduction(3));
  });
}

TEST_CASE("key_update may write onto k and eta") { check_in_place(problems_with_heads(), run); }

TEST_CASE("key_update does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("key_update in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("key_update names the operand that is wrong and writes nothing") {
  tensor<float, 4> k({2, 3, 2, 8}), eta({2, 3, 4, 8}), y_k = eta, y_a = eta, y_b = eta;
  tensor<float, 1> k_k({16}), k_a({32});
  const key_update_inputs<float> in{.k = k, .eta = eta, .k_k = k_k.in(), .k_a = k_a.in()};
  const key_update_outputs<float> out{.k = y_k.out(), .a = y_a.out(), .b = y_b.out()};
  const auto refuses = [&](const char* text, auto change) {
    auto in_ = in;
    auto out_ = out;
    change(in_, out_);
    check_refused(text, validate_key_update(in_, out_), [&](auto& exec) { key_update(exec, in_, out_); });
    CHECK((k.untouched() && eta.untouched() && y_k.untouched() && y_a.untouched() && y_b.untouched()));
  };
  const auto twice = [](auto& x) { x = every_second(x); };
  refuses("rwkv7::key_update: k axis N: got 7, want 8", [](auto& i, auto&) { i.k = resized(i.k, 3, 7); });
  refuses("rwkv7::key_update: k heads: got 3, want a divisor of H = 4",
          [](auto& i, auto&) { i.k = resized(i.eta, 2, 3); });
  refuses("rwkv7::key_update: k_k axis H_kv N: got 15, want 16",
          [&](auto& i, auto&) { i.k_k = resized(k_k.in(), 0, 15); });
  refuses("rwkv7::key_update: k_a axis H N: got 16, want 32", [](auto& i, auto&) { i.k_a = i.k_k; });
  refuses("rwkv7::key_update: y.k axis H: got 2, want 4", [&](auto&, auto& o) { o.k = k.out(); });
  refuses("rwkv7::key_update: y.a axis T: got 2, want 3", [](auto&, auto& o) { o.a = resized(o.a, 1, 2); });
  refuses("rwkv7::key_update: y.b axis B: got 1, want 2", [](auto&, auto& o) { o.b = resized(o.b, 0, 1); });
  refuses("rwkv7::key_update: eta: not given", [&](auto& i, auto&) { i.eta = absent(eta); });
  refuses("rwkv7::key_update: k: not given", [](auto& i, auto&) { i.k = {}; });
  refuses("rwkv7::key_update: k_a: not given", [](auto& i, auto&) { i.k_a = {}; });
  refuses("rwkv7::key_update: w: not given", [](auto& i, auto&) { i.rule = key_rule::one_minus_omega_plus_eta; });
  refuses("rwkv7::key_update: w axis H: got 2, want 4", [&](auto& i, auto&) {
    i.rule = key_rule::one_minus_decay_plus_eta;
    i.w = k;
  });
  refuses("rwkv7::key_update: y.a overlaps w", [&](auto& i, auto&) {
    i.rule = key_rule::one_minus_decay_plus_eta;
    i.w = y_a;
  });
  refuses("rwkv7::key_update: y.a: not given", [](auto&, auto& o) { o.a = {}; });
  refuses("rwkv7::key_update: eta axis N: got stride 2, want 1", [&](auto& i, auto&) { twice(i.eta); });
  refuses("rwkv7::key_update: y.b axis N: got stride 2, want 1", [&](auto&, auto& o) { twice(o.b); });
  refuses("rwkv7::key_update: y.k overlaps k", [&](auto& i, auto&) { i.k = slice(y_k.in(), 2, 1, 2); });
  refuses("rwkv7::key_update: y.k overlaps eta", [&](auto&, auto& o) { o.k = eta.out(); });
  refuses("rwkv7::key_update: y.a overlaps eta", [&](auto&, auto& o) { o.a = eta.out(); });
  refuses("rwkv7::key_update: y.b overlaps eta", [&](auto&, auto& o) { o.b = reversed(eta.out(), 1); });
  refuses("rwkv7::key_update: y.a overlaps y.k", [](auto&, auto& o) { o.a = o.k; });
  refuses("rwkv7::key_update: y.b overlaps y.a", [](auto&, auto& o) { o.b = o.a; });
}
