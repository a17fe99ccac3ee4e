// SPDX-License-Identifier: MIT
// The states after every token of a call, for whole models: what speculative decoding goes back to.
#include <doctest/doctest.h>

#include <cstdio>

#include "rwkv7/model/language_model.hpp"
#include "support/budget.hpp"
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

/// A ring [slots, R, state_size] of its own, filled with what no state holds.
template <class T>
struct ring_of_states {
  index_t slots, R, size;
  std::vector<T> values;

  template <rwkv7::variant V>
  ring_of_states(const language_model<V, T>& model, index_t n, index_t places)
      : slots(n), R(places), size(model.state_size()), values(count_of(n * places * size), T(12345)) {}
  view<T, 3> all() { return {values.data(), {slots, R, size}}; }
  std::vector<T> at(index_t slot, index_t place) const {
    const auto begin = values.begin() + (slot * R + place) * size;
    return {begin, begin + size};
  }
};

/// f(model, exec, zero) in double on the reference executor and in float on every cpu executor.
template <class F>
void for_each_model(F f) {
  rwkv7::reference_executor reference;
  f(open_golden<x070, double>("n16"), reference, 0.0);
  const auto model = open_golden<x070, float>("h4n64");
  for_each_cpu_executor([&](auto& exec) { f(model, exec, 0.0f); });
}

/// The logits of `tokens` one by one, and the state after each.
template <class T, class Exec>
std::vector<T> one_by_one(const language_model<x070, T>& model, Exec& exec, const std::vector<std::int32_t>& tokens,
                          state_pool<T>& state, std::vector<std::vector<T>>& states) {
  std::vector<T> logits;
  for (const auto token : tokens) {
    const auto row = forward(model, exec, dense{1, 1}, {token}, state.in_place()).logits;
    logits.insert(logits.end(), row.begin(), row.end());
    states.push_back(state.values);
  }
  return logits;
}

}  // namespace

TEST_CASE("a call with snapshots gives, bit by bit, the logits and states of one call per token") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    for (const index_t length : {0, 1, 7, 31, 32, 33})
      for (const index_t R : {index_t{1}, index_t{5}, index_t{40}}) {
        CAPTURE(length);
        CAPTURE(R);
        const index_t first = R - 1;
        const auto tokens = some_tokens("snapshots", 2 * length, model.sizes().V);
        state_pool<T> pool(model, 2);
        forward(model, exec, dense{2, 3}, some_tokens("before", 6, model.sizes().V), pool.in_place());
        const auto before = pool;
        ring_of_states<T> ring(model, 2, R);
        auto carried_on = pool.in_place();
        carried_on.every = {ring.all(), first};
        const auto got = forward(model, exec, dense{2, length}, tokens, carried_on);

        ring_of_states<T> want(model, 2, R);
        for (index_t b = 0; b < 2; ++b) {
          state_pool<T> alone(model, 1);
          alone.values = before.slot(b);
          std::vector<std::vector<T>> states;
          const auto logits =
              one_by_one(model, exec, {tokens.begin() + b * length, tokens.begin() + (b + 1) * length}, alone, states);
          const auto rows = got.logits.begin() + b * length * model.sizes().V;
          CHECK(same_bits({rows, rows + length * model.sizes().V}, logits));
          CHECK(same_bits(pool.slot(b), alone.values));
          for (index_t t = 0; t < length; ++t)
            std::copy(states[count_of(t)].begin(), states[count_of(t)].end(), want.all().at(b, (first + t) % R, 0));
        }
        CHECK(same_bits(ring.values, want.values));
      }
  });
}

TEST_CASE("packed sequences in slots leave their snapshots in the rings of their slots") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const std::vector<std::int32_t> cu = {0, 4, 4, 5, 14}, slots = {3, 0, 4, 1};
    const auto tokens = some_tokens("packed", 14, model.sizes().V);
    state_pool<T> pool(model, 5);
    forward(model, exec, dense{5, 2}, some_tokens("before", 10, model.sizes().V), pool.in_place());
    const auto before = pool;
    ring_of_states<T> ring(model, 5, 9), want(model, 5, 9);
    auto carried_on = pool.in_place();
    carried_on.every = {ring.all(), 0};
    forward(model, exec, packed{cu, slots}, tokens, carried_on);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      state_pool<T> alone(model, 1);
      alone.values = before.slot(slots[i]);
      std::vector<std::vector<T>> states;
      one_by_one(model, exec, {tokens.begin() + cu[i], tokens.begin() + cu[i + 1]}, alone, states);
      for (std::size_t t = 0; t < states.size(); ++t)
        std::copy(states[t].begin(), states[t].end(), want.all().at(slots[i], static_cast<index_t>(t), 0));
      CHECK(same_bits(pool.slot(slots[i]), alone.values));
    }
    CHECK(same_bits(ring.values, want.values));
    CHECK(same_bits(pool.slot(2), before.slot(2)));
  });
}

TEST_CASE("a snapshot is, within the budget of a split, the state of a fresh call that ends there") {
  double worst = 0;
  for_each_model([&](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const auto tokens = some_tokens("fresh", 35, model.sizes().V);
    ring_of_states<T> ring(model, 1, 35);
    forward(model, exec, dense{1, 35}, tokens, {.initial = {}, .final = {}, .every = {ring.all(), 0}});
    for (const index_t length : {1, 2, 8, 31, 32, 33, 35}) {
      state_pool<T> state(model, 1);
      forward(model, exec, dense{1, length}, {tokens.begin(), tokens.begin() + length}, state.in_place());
      const double distance = relative_l2(ring.at(0, length - 1), state.values);
      CHECK(distance <= budget::split);
      worst = std::fmax(worst, distance);
      if constexpr (std::is_same_v<T, double>) CHECK(same_bits(ring.at(0, length - 1), state.values));
    }
  });
  std::printf("snapshots: %.1e relative L2 at most from the states of calls that end there\n", worst);
}

TEST_CASE("after k tokens are rolled back, the text goes on as if they had never been decoded") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const auto prompt = some_tokens("prompt", 9, model.sizes().V), draft = some_tokens("draft", 6, model.sizes().V);
    for (const index_t k : {0, 1, 3, 6}) {
      CAPTURE(k);
      const auto kept = static_cast<index_t>(draft.size()) - k;
      state_pool<T> never(model, 1), rolled(model, 1);
      auto logits = prefill(model, exec, prompt, 9, never);
      prefill(model, exec, prompt, 9, rolled);
      std::vector<std::vector<T>> states;
      const auto more = one_by_one(model, exec, {draft.begin(), draft.begin() + kept}, never, states);
      logits.insert(logits.end(), more.begin(), more.end());
      const auto want = greedy(model, exec, logits, 12, never);

      // Seven places: the one before the draft, then one for each drafted token.
      ring_of_states<T> ring(model, 1, 7);
      std::copy(rolled.values.begin(), rolled.values.end(), ring.all().at(0, 0, 0));
      auto carried_on = rolled.in_place();
      carried_on.every = {ring.all(), 1};
      auto verified = forward(model, exec, dense{1, 6}, draft, carried_on).logits;
      rolled.values = ring.at(0, kept);
      verified.resize(count_of(kept * model.sizes().V));
      if (kept == 0) verified = logits;
      CHECK(greedy(model, exec, verified, 12, rolled) == want);
      CHECK(same_bits(rolled.values, never.values));
    }
  });
}

TEST_CASE("snapshots may be all that is written, with the slots inside or outside") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const auto tokens = some_tokens("only", 8, model.sizes().V);
    const index_t size = model.state_size();
    ring_of_states<T> ring(model, 2, 4), turned(model, 4, 2);
    forward(model, exec, dense{2, 4}, tokens, {.initial = {}, .final = {}, .every = {ring.all(), 0}});
    // [R, slots, state_size] in memory.
    const view<T, 3> outside(turned.values.data(), {2, 4, size}, {size, 2 * size, 1});
    forward(model, exec, dense{2, 4}, tokens, {.initial = {}, .final = {}, .every = {outside, 0}});
    CHECK(same_bits(elements(outside), ring.values));
  });
}

TEST_CASE("snapshots that do not fit, or lie on other memory, are refused") {
  const auto model = open_golden<x070, float>("n16");
  const index_t size = model.state_size();
  auto exec = one_thread();
  state_pool<float> pool(model, 2);
  ring_of_states<float> ring(model, 2, 3);
  const auto untouched = ring.values;
  std::vector<float> logits(count_of(2 * 3 * 61));
  const auto tokens = some_tokens("refused", 6, 61);
  const view<const std::int32_t, 2> ids(tokens.data(), {2, 3});
  std::vector<std::byte> scratch(model.workspace_size(dense{2, 3}));
  const auto refused = [&](const std::string& text, const view<float, 3>& to, index_t first = 0,
                           const view<float, 3>& out = {}) {
    auto carried_on = pool.in_place();
    carried_on.every = {to, first};
    CHECK(complaint_of([&] {
            model.forward(exec, dense{2, 3}, ids, {.logits = out}, carried_on, rwkv7::workspace(scratch));
          }) == "rwkv7::language_model: " + text);
    CHECK(same_bits(ring.values, untouched));
  };
  const auto all = ring.all();
  const auto n = [](index_t x) { return std::to_string(x); };
  refused("state.every axis state: got " + n(size - 1) + ", want " + n(size), resized(all, 2, size - 1));
  refused("state slots: got 1, want at least B = 2", resized(all, 0, 1));
  refused("state.every: got first 3, want 0 or more and less than R = 3", all, 3);
  refused("state.every axis R stride: got " + n(size - 1) + ", want snapshots that do not overlap",
          {all.data(), {2, 3, size}, {3 * size, size - 1, 1}});
  refused("state.every axis R stride: got " + n(size) + ", want snapshots that do not overlap",
          {all.data(), {2, 3, size}, {2 * size, size, 1}});
  refused("state.every overlaps state", {pool.values.data(), {2, 1, size}});
  refused("workspace overlaps state.every", {reinterpret_cast<float*>(scratch.data()), {2, 1, size}});
  refused("logits overlaps state.every", all, 0, {ring.values.data(), {2, 3, 61}});
}
