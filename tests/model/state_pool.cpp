// SPDX-License-Identifier: MIT
#include "rwkv7/model/state_pool.hpp"

#include <doctest/doctest.h>

#include <set>

#include "rwkv7/exec/reference.hpp"
#include "support/allocation_counter.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::packed;
using rwkv7::x070;

namespace {
template <class T>
using pool = rwkv7::state_pool<T>;
}

TEST_CASE("slots are distinct, zeros at first, and running out of them is an answer") {
  std::vector<float> memory(4 * 10, 7.0f);
  pool<float> slots(view<float, 2>(memory.data(), {4, 9}, {10, 1}));
  CHECK(slots.slots() == 4);
  std::set<std::int32_t> given;
  for (int i = 0; i < 4; ++i) {
    CHECK(slots.available() == 4 - i);
    const auto slot = slots.acquire();
    REQUIRE(slot);
    CHECK(given.insert(*slot).second);
    CHECK(elements(slots[*slot]) == std::vector<float>(9));
    CHECK(memory[count_of(*slot * 10 + 9)] == 7.0f);
  }
  CHECK(*given.begin() == 0);
  CHECK(*given.rbegin() == 3);
  CHECK(!slots.acquire());
  CHECK(!slots.branch(2));
  CHECK(slots.available() == 0);

  slots[2](3) = 5;
  slots.release(2);
  CHECK(slots.available() == 1);
  CHECK(slots.acquire() == 2);
  CHECK(elements(slots[2]) == std::vector<float>(9));
}

TEST_CASE("a branch is a copy in a slot of its own") {
  std::vector<double> memory(3 * 5);
  pool<double> slots(view<double, 2>(memory.data(), {3, 5}));
  const auto prompt = slots.acquire();
  for (index_t i = 0; i < 5; ++i) slots[*prompt](i) = static_cast<double>(i + 1);
  const auto copy = slots.branch(*prompt);
  REQUIRE(copy);
  CHECK(*copy != *prompt);
  CHECK(elements(slots[*copy]) == std::vector<double>{1, 2, 3, 4, 5});
  slots[*copy](0) = 9;
  CHECK(slots[*prompt](0) == 1);
}

TEST_CASE("a slot that is not in use can be neither given back nor branched") {
  std::vector<float> memory(3 * 5);
  pool<float> slots(view<float, 2>(memory.data(), {3, 5}));
  const auto slot = *slots.acquire();
  slots.release(slot);
  for (const index_t wrong : {index_t{slot}, index_t{-1}, index_t{3}, index_t{1} << 40}) {
    const auto n = std::to_string(wrong);
    CHECK(complaint_of([&] { slots.release(wrong); }) == "rwkv7::state_pool: release: slot " + n + " is not in use");
    CHECK(complaint_of([&] { slots.branch(wrong); }) == "rwkv7::state_pool: branch: slot " + n + " is not in use");
  }
  CHECK(slots.available() == 3);
}

TEST_CASE("memory that cannot hold slots is refused") {
  std::vector<float> memory(30);
  CHECK(complaint_of([&] {
          pool<float>(view<float, 2>(memory.data(), {3, 5}, {0, 1}));
        }) == "rwkv7::state_pool: states axis 0: stride 0 cannot be written (a broadcast tensor is read only)");
  CHECK(complaint_of([&] {
          pool<float>(view<float, 2>(memory.data(), {3, 5}, {10, 2}));
        }) == "rwkv7::state_pool: states axis state: got stride 2, want 1");
  CHECK(complaint_of([&] { pool<float>(view<float, 2>(nullptr, {3, 5})); }) == "rwkv7::state_pool: states: not given");
}

TEST_CASE("nothing is allocated once the pool is made") {
  std::vector<float> memory(8 * 5);
  pool<float> slots(view<float, 2>(memory.data(), {8, 5}));
  std::int32_t taken[8] = {};
  {
    const allocation_counter::armed counting;
    for (int round = 0; round < 3; ++round) {
      taken[0] = *slots.acquire();
      for (int i = 1; i < 8; ++i) taken[i] = *slots.branch(taken[0]);
      for (const auto slot : taken) slots.release(slot);
    }
  }
  CHECK(allocation_counter::new_calls() + allocation_counter::malloc_calls() == 0);
}

TEST_CASE("sequences that come and go in slots give what each gives alone") {
  const auto check = [](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const auto V = model.sizes().V;
    state_pool<T> memory(model, 3);
    pool<T> slots(memory.all());
    const auto one = some_tokens("one", 5, V), two = some_tokens("two", 4, V), three = some_tokens("three", 3, V);
    const auto alone = [&](std::vector<std::vector<std::int32_t>> calls) {
      state_pool<T> state(model, 1);
      for (const auto& tokens : calls)
        forward(model, exec, dense{1, static_cast<index_t>(tokens.size())}, tokens, state.in_place());
      return state.values;
    };
    const auto join = [](std::vector<std::int32_t> a, const std::vector<std::int32_t>& b) {
      a.insert(a.end(), b.begin(), b.end());
      return a;
    };
    const auto a = *slots.acquire(), b = *slots.acquire();
    const std::vector<std::int32_t> cu = {0, 5, 9}, first = {a, b};
    forward(model, exec, packed{cu, first}, join(one, two), slots.states());
    const auto c = *slots.branch(a);
    slots.release(b);
    const auto d = *slots.acquire();
    const std::vector<std::int32_t> cu_2 = {0, 4, 7}, second = {c, d};
    forward(model, exec, packed{cu_2, second}, join(two, three), slots.states());
    CHECK(same_bits(elements(slots[a]), alone({one})));
    CHECK(same_bits(elements(slots[c]), alone({one, two})));
    CHECK(same_bits(elements(slots[d]), alone({three})));
  };
  rwkv7::reference_executor reference;
  check(open_golden<x070, double>("n16"), reference, 0.0);
  auto cpu = one_thread();
  check(open_golden<x070, float>("n16"), cpu, 0.0f);
}
