// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include "rwkv7/ops/wkv7.hpp"
#include "support/golden_recurrence.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

// One instruction set only, for the time it takes to compile: the kernels are those of wkv7, which run on all.

namespace {

/// The recurrence of that policy, by its run-time name.
constexpr auto run = [](auto& exec, read_policy policy, const recurrence& p, auto zero, const way& how = {}) {
  if (policy == read_policy::after) return run_wkv<read_policy::after>(exec, p, zero, how);
  if (policy == read_policy::before) return run_wkv<read_policy::before>(exec, p, zero, how);
  return run_wkv<read_policy::before_bonus>(exec, p, zero, how);
};
constexpr read_policy policies[] = {read_policy::after, read_policy::before, read_policy::before_bonus};

}  // namespace

TEST_CASE("wkv gives the golden values on every kind of executor") {
  reference_executor reference;
  for (const auto& c : golden_cases("wkv")) {
    INFO(c.name);
    check_recurrence_close(run(reference, c.policy, c.given, 0.0), c.wanted, budget::definition);
    check_recurrence_close(run(reference, c.policy, c.given, 0.0f), c.wanted, budget::unit_roundoff);
    for_each_kind([&](auto& exec, auto zero) {
      check_recurrence_close(run(exec, c.policy, c.given, zero), c.wanted, budget::recurrence(c.given.T, c.given.N));
    });
  }
}

TEST_CASE("wkv of one policy would not pass for another") {
  for (auto& c : golden_cases("wkv")) {
    c.given.u.resize(static_cast<std::size_t>(c.given.H * c.given.N), 1);
    for (const read_policy wrong : policies) {
      if (wrong == c.policy) continue;
      inline_executor exec;
      CHECK(relative_l2(run(exec, wrong, c.given, 0.0f)[0], c.wanted[0]) >
            budget::planted_fault * budget::recurrence(c.given.T, c.given.N));
    }
  }
}

TEST_CASE("wkv is within the budget of a recurrence at any head size and length") {
  reference_executor reference;
  inline_executor exec;
  for (const read_policy policy : policies)
    for (const index_t N : {1, 3, 16, 17, 33, 64, 100, 128, 200})
      for (const index_t T : {0, 1, 7, 8, 33, 40}) {
        const auto p = made_up({.B = 2, .T = T, .H = 2, .H_k = 1, .H_v = 2, .N = N});
        INFO(p.text());
        check_recurrence_close(run(exec, policy, p, 0.0f), run(reference, policy, p, 0.0), budget::recurrence(T, p.N));
      }
}

TEST_CASE("wkv that reads after the update is wkv7 with a and b zero") {
  auto p = made_up({.B = 2, .T = 37, .N = 20});
  p.a.assign(p.a.size(), 0);
  p.b = p.a;
  reference_executor reference;
  check_recurrence_close(run(reference, read_policy::after, p, 0.0), run_wkv7(reference, p, 0.0), budget::definition);
}

TEST_CASE("wkv keeps D1 to D4") {
  for (const read_policy policy : policies) {
    const auto p = made_up({.B = 3, .T = 70, .H = 4, .H_k = 2, .H_v = 1, .N = 64});
    auto exec = one_thread();
    const auto once = run(exec, policy, p, 0.0f);
    CHECK(same_bits(once, run(exec, policy, p, 0.0f)));
    for_each_threading([&](auto& threads) { CHECK(same_bits(once, run(threads, policy, p, 0.0f))); });
    CHECK(same_bits(once, run(exec, policy, p, 0.0f, {.cuts = {32, 38}})));
    CHECK(same_bits(once, run(exec, policy, p, 0.0f, {.how = layout::reversed, .state = layout::padded})));
    check_recurrence_close(run(exec, policy, p, 0.0f, {.cuts = {1, 7, 62}}), once, budget::split);
    reference_executor reference;
    CHECK(same_bits(run(reference, policy, p, 0.0), run(reference, policy, p, 0.0, {.cuts = {1, 7, 62}})));
    auto spoilt = p;
    for (auto* x : {&spoilt.r, &spoilt.w, &spoilt.k, &spoilt.v, &spoilt.S})
      std::fill_n(x->begin() + static_cast<std::ptrdiff_t>(x->size()) / 3, x->size() / 3, poison<float>());
    const auto beside = run(exec, policy, spoilt, 0.0f);
    for (const std::size_t output : {0u, 1u}) {
      const auto third = static_cast<std::ptrdiff_t>(once[output].size()) / 3;
      CHECK(std::equal(once[output].begin(), once[output].begin() + third, beside[output].begin()));
      CHECK(std::equal(once[output].end() - third, once[output].end(), beside[output].end() - third));
    }
  }
}

TEST_CASE("wkv names the operand that is wrong and writes nothing") {
  tensor<float, 4> r({2, 3, 4, 8}), w = r, k({2, 3, 2, 8}), v = k, y = r, S({2, 4, 8, 8});
  tensor<float, 2> u({4, 8});
  using inputs = wkv_inputs<float, read_policy::before_bonus>;
  const auto refuses = [&](const char* text, auto change) {
    inputs in{.r = r, .w = decay<float>::loglog(w), .k = k, .v = v, .u = u};
    auto out = y.out();
    auto carried = state<float>::in_place(S.out());
    change(in, out, carried);
    check_refused(text, validate_wkv(dense{2, 3}, in, out, carried), [&](auto& exec) {
      wkv(exec, dense{2, 3}, in, out, carried);
    });
    for (const auto* x : {&r, &w, &k, &v, &y, &S}) CHECK(x->untouched());
  };
  refuses("rwkv7::wkv: u axis H: got 3, want 4", [](auto& in, auto&...) { in.u = resized(in.u, 0, 3); });
  refuses("rwkv7::wkv: u: not given", [](auto& in, auto&...) { in.u = {}; });
  refuses("rwkv7::wkv: u axis N: got stride 2, want 1", [](auto& in, auto&...) { in.u = every_second(in.u); });
  refuses("rwkv7::wkv: y overlaps u", [](auto& in, auto& y_, auto&) {
    in.u = view<const float, 2>(y_.data(), {4, 8});
  });
  refuses("rwkv7::wkv: w axis N: got 7, want 8",
          [&](auto& in, auto&...) { in.w = decay<float>::log(resized(w.in(), 3, 7)); });
  refuses("rwkv7::wkv: v: not given", [](auto& in, auto&...) { in.v = {}; });
  refuses("rwkv7::wkv: y overlaps r", [&](auto&, auto& y_, auto&) { y_ = r.out(); });
  refuses("rwkv7::wkv: state.final axis H: got 3, want 4", [](auto&, auto&, auto& s) {
    s = {{}, resized(s.final, 1, 3)};
  });
}
