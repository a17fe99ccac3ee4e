// SPDX-License-Identifier: MIT
// The recurrence in bf16, f16 and double, and on states in bf16 and f16.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "support/recurrence.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// Sizes of every kernel, lengths around a block, heads in groups, packed sequences.
std::vector<recurrence> shapes() {
  std::vector<recurrence> all;
  for (const index_t N : {1, 5, 16, 33, 63, 64, 65, 100, 128, 129, 256})
    for (const index_t T : {1, 9})
      if (N > 1 || T == 1) all.push_back(made_up({.T = T, .H = 1, .H_k = 1, .H_v = 1, .N = N}));
  for (const index_t N : {19, 64})
    for (const index_t T : {0, 1, 7, 8, 31, 32, 33, 40, 65}) all.push_back(made_up({.B = 2, .T = T, .N = N}));
  all.push_back(made_up({.B = 2, .T = 35, .H = 4, .H_k = 2, .H_v = 1, .N = 64}));
  recurrence packs{.B = 1, .T = 116, .N = 20};
  packs.cu = {0, 0, 1, 3, 18, 34, 51, 116};
  packs.pool = 7;
  all.push_back(made_up(packs));
  all.push_back(made_up({.B = 0}));
  return all;
}

/// Every form of the decay, and the layouts in which operands and states come.
template <class F>
void for_each_way(const recurrence& p, F f) {
  f(p, way{});
  if (p.T != 9 && p.T != 40) return;
  for (const layout how : layouts) {
    INFO(name_of(how));
    f(p, way{.how = how, .state = how});
    f(p, way{.how = how, .state = how, .final = finish::other_memory});
  }
  f(p, way{.initial = start::absent, .final = finish::other_memory});
  f(p, way{.final = finish::absent});
  for (const auto form : {decay_form::factor, decay_form::log, decay_form::loglog}) {
    auto other = p;
    other.form = form;
    if (form != decay_form::loglog)
      for (float& w : other.w) w = form == decay_form::factor ? 0x1.f8p-1f : -0x1p-6f;
    f(other, way{});
  }
}

template <class T>
std::vector<float> rounded(std::vector<float> values) {
  for (float& x : values) x = rounded_to(dtype_of<T>, x);
  return values;
}

/// On every instruction set; where units for several processors have no kernel, because the state has a type of its
/// own, on the one of this build.
template <class T, class E, class F>
void for_each_kernel_of(F&& f) {
  if constexpr (std::is_same_v<E, T> || std::is_same_v<E, compute_type<T>>) {
    for_each_arch(f);
  } else {
    inline_executor exec;
    f(exec);
  }
}

/// run gives y rounded once, and the state where it has 16 bits.
template <class T, class E, class Run, class OfFloat>
void check_recurrence_in(Run run, OfFloat of_float) {
  reference_executor reference;
  for (const auto& shape : shapes()) {
    INFO(shape.text());
    for_each_way(rounded_to(dtype_of<T>, shape), [&](const recurrence& given, const way& how) {
      auto p = given;
      for (float& s : p.S) s = rounded_to(dtype_of<E>, s);
      const auto exact = of_float(reference, p, 0.0, how);
      for_each_kernel_of<T, E>([&](auto& exec) {
        const auto got = run(exec, p, T{}, how);
        const auto want = of_float(exec, p, 0.0f, how);
        CHECK(same_bits(got[0], rounded<T>(want[0])));
        if (how.final != finish::absent) CHECK(same_bits(got[1], rounded<E>(want[1])));
        const double of_state = half_element<E> ? budget::stored<std::conditional_t<half_element<E>, E, bf16>> : 0;
        CHECK(relative_l2(got[0], exact[0]) <=
              budget::stored<std::conditional_t<half_element<T>, T, bf16>> + budget::recurrence(p.T, p.N));
        if (how.final != finish::absent)
          CHECK(relative_l2(got[1], exact[1]) <= of_state + budget::recurrence(p.T, p.N));
      });
    });
  }
}

/// D1 to D3, and D4 at multiples of 32 where the state is not rounded.
template <class T, class E>
void check_levels() {
  constexpr auto run = run_wkv7_on_state_of<E>;
  const auto p = made_up({.B = 3, .T = 70, .H = 4, .H_k = 2, .H_v = 1, .N = 64});
  auto exec = one_thread();
  const auto once = run(exec, p, T{}, way{});
  CHECK(same_bits(once, run(exec, p, T{}, way{})));
  for_each_threading([&](auto& threads) { CHECK(same_bits(once, run(threads, p, T{}, way{}))); });
  if (!half_element<E>) CHECK(same_bits(once, run(exec, p, T{}, way{.cuts = {32, 32, 6}})));
  auto spoilt = p;
  for (auto* x : {&spoilt.r, &spoilt.w, &spoilt.k, &spoilt.v, &spoilt.a, &spoilt.b, &spoilt.S})
    std::fill_n(x->begin() + static_cast<std::ptrdiff_t>(x->size() / 3), x->size() / 3, NAN);
  const auto beside_nan = run(exec, spoilt, T{}, way{});
  for (std::size_t i = 0; i < 2; ++i) {
    const auto third = once[i].size() / 3;
    std::size_t others = 0;
    for (std::size_t j = 0; j < once[i].size(); ++j)
      if (j / third != 1 && bits_of(once[i][j]) != bits_of(beside_nan[i][j])) ++others;
    CHECK(others == 0);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("wkv7 on operands of 16 bits is that of float on the same values, y rounded once", T, bf16, f16) {
  check_recurrence_in<T, float>(run_wkv7, run_wkv7);
}

TEST_CASE_TEMPLATE("a state of 16 bits is rounded once, at the end of a call", T, bf16, f16) {
  check_recurrence_in<T, T>(run_wkv7_on_state_of<T>, run_wkv7);
}

TEST_CASE("operands in one type of 16 bits go with a state in the other; operands in float with either") {
  check_recurrence_in<bf16, f16>(run_wkv7_on_state_of<f16>, run_wkv7);
  check_recurrence_in<float, bf16>(run_wkv7_on_state_of<bf16>, run_wkv7);
}

TEST_CASE_TEMPLATE("wkv on operands of 16 bits is that of float on the same values, y rounded once", T, bf16, f16) {
  check_recurrence_in<T, float>(run_wkv<read_policy::after>, run_wkv<read_policy::after>);
  check_recurrence_in<T, float>(run_wkv<read_policy::before>, run_wkv<read_policy::before>);
  check_recurrence_in<T, float>(run_wkv<read_policy::before_bonus>, run_wkv<read_policy::before_bonus>);
}

TEST_CASE("wkv7 and wkv in double are within 1e-13 of the reference executor, and any cut is bitwise") {
  reference_executor reference;
  const auto check = [&](auto run) {
    for (const auto& shape : shapes()) {
      INFO(shape.text());
      for_each_way(shape, [&](const recurrence& p, const way& how) {
        const auto want = run(reference, p, 0.0, how);
        for_each_arch([&](auto& exec) {
          const auto got = run(exec, p, 0.0, how);
          CHECK(relative_l2(got[0], want[0]) <= budget::in_double);
          if (how.final != finish::absent) CHECK(relative_l2(got[1], want[1]) <= budget::in_double);
          if (how.final == finish::in_place && p.T == 40) {
            auto cut = how;
            cut.cuts = {1, 30, 9};
            CHECK(same_bits(got, run(exec, p, 0.0, cut)));
          }
        });
      });
    }
  };
  check(run_wkv7);
  check(run_wkv<read_policy::after>);
  check(run_wkv<read_policy::before>);
  check(run_wkv<read_policy::before_bonus>);
}

TEST_CASE("wkv7 in other types than float does not depend on threads, neighbours or cuts") {
  check_levels<bf16, float>();
  check_levels<f16, float>();
  check_levels<bf16, bf16>();
  check_levels<f16, f16>();
  check_levels<double, double>();
}

TEST_CASE("a state of 16 bits with snapshots is rounded at every token, as by calls of one token each") {
  const auto p = made_up({.B = 1, .T = 5, .H = 2, .H_k = 2, .H_v = 2, .N = 64});
  const operands_in_memory<bf16> x(p);
  tensor<bf16, 4> y({1, 5, 2, 64}), S({1, 2, 64, 64}), y_each = y;
  S.generate([&](index_t i) { return bf16::from_float(p.S[static_cast<std::size_t>(i)]); });
  auto S_each = S;
  tensor<bf16, 5> ring({1, 5, 2, 64, 64});
  inline_executor exec;
  wkv7(exec, dense{1, 5}, x.all(), y.out(), state<bf16>{S.in(), S.out(), {ring.out(), 0}});
  for (index_t t = 0; t < 5; ++t) {
    const piece at{0, 1, t, 1};
    wkv7(exec, dense{1, 1}, x.seen([&](const auto& operand) { return at.in(operand); }), at.out(y_each),
         state<bf16>::in_place(S_each.out()));
    const bf16* snapshot = ring.in().at(0, t, 0, 0, 0);
    CHECK(same_bits(std::vector<bf16>(snapshot, snapshot + S_each.size()), S_each.values()));
  }
  CHECK(same_bits(y.values(), y_each.values()));
  CHECK(same_bits(S.values(), S_each.values()));
}

TEST_CASE("a state given in braces has the type that the operands are computed in") {
  const auto p = rounded_to(dtype::bf16, made_up({.B = 1, .T = 3, .H = 1, .H_k = 1, .H_v = 1, .N = 16}));
  const operands_in_memory<bf16> x(p);
  tensor<bf16, 4> y({1, 3, 1, 16}), again = y;
  tensor<float, 4> S({1, 1, 16, 16});
  inline_executor exec;
  wkv7(exec, dense{1, 3}, x.all(), y.out(), {.final = S.out()});
  CHECK(S.surroundings_untouched());
  CHECK_FALSE(S.untouched());
  wkv7(exec, dense{1, 3}, x.all(), again.out());
  CHECK(same_bits(y.values(), again.values()));
}
