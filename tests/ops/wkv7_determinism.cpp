// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <limits>

#include "rwkv7/ops/wkv7.hpp"
#include "support/recurrence.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

const std::vector<recurrence>& shapes() {
  static const std::vector<recurrence> all = [] {
    recurrence packs{.B = 1, .T = 116, .N = 20};
    packs.cu = {0, 0, 1, 3, 18, 34, 51, 116};
    packs.pool = 7;
    return std::vector<recurrence>{
        made_up({.B = 3, .T = 37, .H = 4, .H_k = 2, .H_v = 1, .N = 64}),
        made_up({.B = 2, .T = 5, .H = 3, .H_k = 3, .H_v = 3, .N = 100}),
        made_up({.B = 2, .T = 1, .H = 8, .H_k = 8, .H_v = 8, .N = 128}),
        made_up(packs),
    };
  }();
  return all;
}

/// Every operand of one sequence of a dense problem becomes NaN or infinite; its state too.
void spoil(recurrence& p, index_t sequence, float with) {
  for (auto* x : {&p.r, &p.w, &p.k, &p.v, &p.a, &p.b, &p.S}) {
    const auto size = static_cast<std::ptrdiff_t>(x->size()) / p.B;
    std::fill_n(x->begin() + sequence * size, size, with);
  }
}

template <class T>
std::vector<T> of_sequence(const std::vector<T>& x, const recurrence& p, index_t b) {
  const auto size = static_cast<std::ptrdiff_t>(x.size()) / p.B;
  return {x.begin() + b * size, x.begin() + (b + 1) * size};
}

/// One sequence of a dense problem as a problem of its own.
recurrence alone(const recurrence& p, index_t b) {
  auto one = p;
  for (auto* x : {&one.r, &one.w, &one.k, &one.v, &one.a, &one.b, &one.S}) *x = of_sequence(*x, p, b);
  one.B = one.pool = 1;
  return one;
}

}  // namespace

TEST_CASE("D1: wkv7 gives the same bits from run to run, wherever its memory lies") {
  for (const auto& p : shapes())
    for_each_executor([&](auto& exec, auto zero) {
      const auto once = run_wkv7(exec, p, zero);
      CHECK(same_bits(once, run_wkv7(exec, p, zero)));
      CHECK(same_bits(once, run_wkv7(exec, p, zero, {.how = layout::offset, .state = layout::offset})));
    });
}

TEST_CASE("D2: wkv7 gives the same bits for any number of threads") {
  auto exec = one_thread();
  for (const auto& p : shapes()) {
    const auto once = run_wkv7(exec, p, 0.0f);
    for_each_threading([&](auto& threads) { CHECK(same_bits(once, run_wkv7(threads, p, 0.0f))); });
  }
}

TEST_CASE("D3: NaN and infinity in one sequence change no bit of its neighbours") {
  for (const index_t T : {1, 9, 37})
    for (const float with : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const auto p = made_up({.B = 3, .T = T, .N = 20});
      auto spoilt = p;
      spoil(spoilt, 1, with);
      for_each_executor([&](auto& exec, auto zero) {
        const auto clean = run_wkv7(exec, p, zero), beside = run_wkv7(exec, spoilt, zero);
        for (const index_t b : {0, 2})
          for (const std::size_t output : {0u, 1u})
            CHECK(same_bits(of_sequence(clean[output], p, b), of_sequence(beside[output], p, b)));
        for (const std::size_t output : {0u, 1u})
          CHECK_FALSE(std::isfinite(of_sequence(beside[output], p, 1)[0]));  // and it is not hidden where it belongs
      });
    }
}

TEST_CASE("D4: the reference executor in double gives the same bits for any split of the tokens") {
  reference_executor exec;
  const auto p = made_up({.B = 2, .T = 11, .N = 17});
  const auto once = run_wkv7(exec, p, 0.0);
  for (const auto& cuts : std::vector<std::vector<index_t>>{{1, 10}, {5, 6}, {0, 11}, {3, 3, 3, 2}, {7, 0, 4}})
    CHECK(same_bits(once, run_wkv7(exec, p, 0.0, {.cuts = cuts})));
}

TEST_CASE("D4: on a cpu no bit depends on a split at multiples of 32") {
  const std::vector<std::vector<index_t>> all = {{32, 1},  {32, 7},  {32, 8},      {32, 31}, {32, 32},
                                                 {32, 64}, {64, 32}, {64, 6},      {32, 38}, {32, 32, 32, 4},
                                                 {0, 33},  {33, 0},  {96, 32, 10}, {128, 2}, {32, 0, 5}};
  for (const index_t N : {19, 64, 128})
    for (const auto& cuts : all) {
      index_t T = 0;
      for (const index_t tokens : cuts) T += tokens;
      CAPTURE(N);
      CAPTURE(T);
      const auto p = made_up({.B = 1, .T = T, .H = 1, .H_k = 1, .H_v = 1, .N = N});
      for_each_arch([&](auto& exec) {
        const auto once = run_wkv7(exec, p, 0.0f);
        CHECK(same_bits(once, run_wkv7(exec, p, 0.0f, {.cuts = cuts})));
        CHECK(same_bits(once, run_wkv7(exec, p, 0.0f, {.state = layout::padded, .cuts = cuts})));
      });
    }
}

TEST_CASE("D4: on a cpu any other split, token by token too, is within the budget of a split") {
  for (const index_t N : {19, 64}) {
    const auto p = made_up({.B = 2, .T = 70, .N = N});
    for_each_arch([&](auto& exec) {
      const auto once = run_wkv7(exec, p, 0.0f);
      for (const auto& cuts :
           std::vector<std::vector<index_t>>{std::vector<index_t>(70, 1), {7, 63}, {33, 37}, {1, 32, 32, 5}, {31, 39}})
        check_recurrence_close(run_wkv7(exec, p, 0.0f, {.cuts = cuts}), once, budget::split);
    });
  }
}

TEST_CASE("D4: every sequence of a batch in a call of its own gives the same bits") {
  for (const auto& p : shapes()) {
    if (!p.cu.empty()) continue;
    for_each_executor([&](auto& exec, auto zero) {
      const auto together = run_wkv7(exec, p, zero);
      for (index_t b = 0; b < p.B; ++b) {
        const auto one = run_wkv7(exec, alone(p, b), zero);
        for (const std::size_t output : {0u, 1u}) CHECK(same_bits(one[output], of_sequence(together[output], p, b)));
      }
    });
  }
}
