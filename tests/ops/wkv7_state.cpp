// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <algorithm>

#include "rwkv7/ops/wkv7.hpp"
#include "support/recurrence.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// Tokens [begin, end) of sequence `b` alone, with slot `slot` of the pool as its initial state.
recurrence part(const recurrence& p, index_t b, index_t begin, index_t end, index_t slot) {
  recurrence one{.B = 1, .T = end - begin, .H = p.H, .H_k = p.H_k, .H_v = p.H_v, .N = p.N};
  one.pool = 1;
  const auto cut = [](const std::vector<float>& x, index_t from, index_t to, index_t size) {
    return std::vector<float>(x.begin() + from * size, x.begin() + to * size);
  };
  const auto tokens = [&](const std::vector<float>& x, index_t H) {
    return cut(x, b * p.T + begin, b * p.T + end, H * p.N);
  };
  one.r = tokens(p.r, p.H), one.w = tokens(p.w, p.H), one.a = tokens(p.a, p.H), one.b = tokens(p.b, p.H);
  one.k = tokens(p.k, p.H_k), one.v = tokens(p.v, p.H_v);
  one.S = cut(p.S, slot, slot + 1, p.H * p.N * p.N);
  return one;
}

template <class T>
std::vector<T> slot_of(const std::vector<T>& pool, index_t slots, index_t slot) {
  const auto size = static_cast<std::ptrdiff_t>(pool.size()) / slots;
  return {pool.begin() + slot * size, pool.begin() + (slot + 1) * size};
}

}  // namespace

TEST_CASE("an absent initial state is zeros, and an absent final state changes no output") {
  for (const index_t N : {19, 64})
    for (const index_t T : {0, 1, 5, 40}) {
      const auto p = made_up({.B = 2, .T = T, .N = N});
      auto zeros = p;
      zeros.S.assign(p.S.size(), 0);
      for_each_kind([&](auto& exec, auto zero) {
        for (const auto final : {finish::in_place, finish::other_memory})
          CHECK(same_bits(run_wkv7(exec, p, zero, {.initial = start::absent, .final = final}),
                          run_wkv7(exec, zeros, zero)));
        CHECK(same_bits(run_wkv7(exec, p, zero, {.final = finish::absent})[0], run_wkv7(exec, p, zero)[0]));
        CHECK(same_bits(run_wkv7(exec, p, zero, {.initial = start::absent, .final = finish::absent})[0],
                        run_wkv7(exec, zeros, zero)[0]));
      });
    }
}

TEST_CASE("a final state in other memory leaves the initial one as it was") {
  const auto p = made_up({.B = 2, .T = 9, .N = 20});
  for_each_kind([&](auto& exec, auto zero) {
    const auto other = run_wkv7(exec, p, zero, {.final = finish::other_memory});
    CHECK(same_bits(other, run_wkv7(exec, p, zero)));
    // Without a final state the pool that comes back is the one that was given.
    CHECK(max_abs(run_wkv7(exec, p, zero, {.final = finish::absent})[1], p.S) == 0);
  });
}

TEST_CASE("no tokens carry the state over") {
  const auto p = made_up({.B = 3, .T = 0, .N = 20});
  for_each_kind([&](auto& exec, auto zero) {
    for (const layout how : layouts)
      for (const auto final : {finish::in_place, finish::other_memory})
        CHECK(max_abs(run_wkv7(exec, p, zero, {.state = how, .final = final})[1], p.S) == 0);
  });
}

TEST_CASE("a broadcast initial state begins every sequence") {
  auto p = made_up({.B = 3, .T = 9, .N = 20});
  for (std::size_t i = p.S.size() / 3; i < p.S.size(); ++i) p.S[i] = p.S[i - p.S.size() / 3];
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const operands_in_memory<T> x(p);
    tensor<T, 4> y({3, 9, 2, 20}), final({3, 2, 20, 20});
    const std::vector<T> S(p.S.begin(), p.S.end());
    const auto all = broadcast(view<const T, 3>(S.data(), {2, 20, 20}), 3);
    wkv7(exec, dense{3, 9}, x.all(), y.out(), {all, final.out()});
    CHECK(same_bits(outputs<T>{y.values(), final.values()}, run_wkv7(exec, p, zero)));
  });
}

TEST_CASE("packed sequences with slots in any order equal each sequence alone, and no other slot is touched") {
  recurrence shape{.B = 1, .T = 116, .H = 4, .H_k = 2, .H_v = 1, .N = 20};
  shape.cu = {0, 0, 1, 3, 18, 34, 51, 116};
  shape.slots = {4, 7, 0, 8, 2, 5, 1};
  shape.pool = 9;
  const auto p = made_up(shape);
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto together = run_wkv7(exec, p, zero);
    std::vector<T> y;
    for (std::size_t i = 0; i < p.slots.size(); ++i) {
      const auto alone = run_wkv7(exec, part(p, 0, p.cu[i], p.cu[i + 1], p.slots[i]), zero);
      y.insert(y.end(), alone[0].begin(), alone[0].end());
      CHECK(same_bits(slot_of(together[1], 9, p.slots[i]), alone[1]));
    }
    CHECK(same_bits(together[0], y));
    for (const index_t unused : {3, 6}) CHECK(max_abs(slot_of(together[1], 9, unused), slot_of(p.S, 9, unused)) == 0);
  });
}

TEST_CASE("packed sequences without indices own the slots in order, 64-bit lists do as well") {
  recurrence shape{.B = 1, .T = 12, .N = 16};
  shape.cu = {0, 5, 12};
  shape.pool = 2;
  auto p = made_up(shape);
  auto listed = p;
  listed.slots = {0, 1};
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto want = run_wkv7(exec, listed, zero);
    CHECK(same_bits(want, run_wkv7(exec, p, zero)));
    const operands_in_memory<T> x(p);
    tensor<T, 4> y({1, 12, 2, 16}), S({2, 2, 16, 16});
    S.assign(std::vector<T>(p.S.begin(), p.S.end()));
    const std::vector<std::int64_t> cu{0, 5, 12}, slots{0, 1};
    wkv7(exec, packed{cu, slots}, x.all(), y.out(), state<T>::in_place(S.out()));
    CHECK(same_bits(want, outputs<T>{y.values(), S.values()}));
  });
}

TEST_CASE("branches of one prompt may read one slot when no state is written") {
  recurrence shape{.B = 1, .T = 12, .N = 16};
  shape.cu = {0, 5, 12};
  shape.slots = {1, 1};
  shape.pool = 2;
  const auto p = made_up(shape);
  for_each_kind([&](auto& exec, auto zero) {
    const auto y = run_wkv7(exec, p, zero, {.final = finish::absent})[0];
    auto both = run_wkv7(exec, part(p, 0, 0, 5, 1), zero)[0];
    const auto second = run_wkv7(exec, part(p, 0, 5, 12, 1), zero)[0];
    both.insert(both.end(), second.begin(), second.end());
    CHECK(same_bits(y, both));
  });
}

TEST_CASE("a state kept as [key, value] is read and written through from_key_value") {
  for (const index_t T : {0, 1, 5, 40}) {
    const auto p = made_up({.B = 2, .T = T, .N = 20});
    const auto turned = [](index_t i) { return i / 400 * 400 + i % 20 * 20 + i / 20 % 20; };
    for_each_kind([&](auto& exec, auto zero) {
      using E = decltype(zero);
      const operands_in_memory<E> x(p);
      tensor<E, 4> y({2, T, 2, 20}), S({2, 2, 20, 20}, layout::padded), back({2, 2, 20, 20});
      S.generate([&](index_t i) { return E(p.S[static_cast<std::size_t>(turned(i))]); });
      wkv7(exec, dense{2, T}, x.all(), y.out(), state<E>::in_place(from_key_value(S.out())));
      back.generate([&](index_t i) { return S[turned(i)]; });
      CHECK(same_bits(outputs<E>{y.values(), back.values()}, run_wkv7(exec, p, zero)));
      CHECK(S.surroundings_untouched());
    });
  }
}

TEST_CASE("a scan of reversed views is a reversed scan") {
  const auto p = made_up({.B = 1, .T = 41, .N = 20});
  auto backwards = p;
  for (auto* x : {&backwards.r, &backwards.w, &backwards.k, &backwards.v, &backwards.a, &backwards.b})
    for (auto early = x->begin(), late = x->end() - 40; early < late; early += 40, late -= 40)
      std::swap_ranges(early, early + 40, late);
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const operands_in_memory<T> x(p);
    tensor<T, 4> y({1, 41, 2, 20}), S({1, 2, 20, 20});
    S.assign(std::vector<T>(p.S.begin(), p.S.end()));
    const auto in = x.seen([](const auto& operand) { return reversed(operand.in(), 1); });
    wkv7(exec, dense{1, 41}, in, y.out(), state<T>::in_place(S.out()));
    CHECK(same_bits(outputs<T>{y.values(), S.values()}, run_wkv7(exec, backwards, zero)));
  });
}

TEST_CASE("to branch is to copy, to roll back is to copy back") {
  const auto p = made_up({.B = 1, .T = 30, .N = 64});
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const operands_in_memory<T> x(p);
    tensor<T, 4> y({1, 30, 2, 64}), prompt({1, 2, 64, 64});
    prompt.assign(std::vector<T>(p.S.begin(), p.S.end()));
    const auto go_on = [&](tensor<T, 4>& S, index_t begin, index_t end) {
      const piece at{0, 1, begin, end - begin};
      wkv7(exec, dense{1, end - begin}, x.seen([&](const auto& operand) { return at.in(operand); }), at.out(y),
           state<T>::in_place(S.out()));
      return outputs<T>{y.values(), S.values()};
    };
    go_on(prompt, 0, 10);
    auto branch = prompt;
    const auto first = go_on(branch, 10, 20), other = go_on(branch, 20, 30);
    CHECK_FALSE(same_bits(first[1], other[1]));
    branch.assign(prompt.values());
    CHECK(same_bits(go_on(branch, 10, 20)[1], first[1]));
    CHECK(same_bits(go_on(prompt, 10, 20)[1], first[1]));
  });
}
