// SPDX-License-Identifier: MIT
// The levels D1 to D4 of the determinism contract, for whole models.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "rwkv7/model/language_model.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::packed;
using rwkv7::x070;

namespace {

/// Everything that one call of B sequences gives, from states that are not empty.
template <class T, class Exec>
std::vector<T> run(const language_model<x070, T>& model, Exec& exec, index_t B, index_t length) {
  const auto vocabulary = model.sizes().V;
  state_pool<T> state(model, B);
  forward(model, exec, dense{B, 2}, some_tokens("before", B * 2, vocabulary), state.in_place());
  auto all = forward(model, exec, dense{B, length}, some_tokens("run", B * length, vocabulary), state.in_place());
  all.logits.insert(all.logits.end(), all.last.begin(), all.last.end());
  all.logits.insert(all.logits.end(), state.values.begin(), state.values.end());
  return all.logits;
}

/// 70 tokens in parts of `chunk`: logits and state.
template <class T, class Exec>
std::vector<T> in_parts(const language_model<x070, T>& model, Exec& exec, index_t chunk) {
  state_pool<T> state(model, 1);
  auto all = prefill(model, exec, some_tokens("parts", 70, model.sizes().V), chunk, state);
  all.insert(all.end(), state.values.begin(), state.values.end());
  return all;
}

}  // namespace

TEST_CASE("D1: a second run gives the same bits") {
  const auto model = open_golden<x070, float>("h4n64");
  for_each_cpu_executor([&](auto& exec) { CHECK(same_bits(run(model, exec, 2, 37), run(model, exec, 2, 37))); });
  const auto exact = open_golden<x070, double>("n16");
  rwkv7::reference_executor reference;
  CHECK(same_bits(run(exact, reference, 2, 37), run(exact, reference, 2, 37)));
}

TEST_CASE("D2: any number of threads gives the same bits") {
  const auto model = open_golden<x070, float>("h4n64");
  auto one = one_thread();
  for (const index_t B : {1, 3})
    for (const index_t length : {1, 40}) {
      CAPTURE(B);
      CAPTURE(length);
      const auto want = run(model, one, B, length);
      for_each_threading([&](auto& exec) { CHECK(same_bits(run(model, exec, B, length), want)); });
    }
}

TEST_CASE("D3: what the neighbours hold, NaN included, changes no bit of a sequence") {
  const auto check = [](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const auto vocabulary = model.sizes().V;
    const std::vector<std::int32_t> cu = {0, 9, 20, 21, 40};  // sequence 1 is looked at
    auto tokens = some_tokens("mine", 40, vocabulary);
    const auto others = some_tokens("others", 40, vocabulary);
    state_pool<T> state(model, 4), disturbed(model, 4);
    const auto want = forward(model, exec, packed{cu}, tokens, state.in_place());
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (i < 9 || i >= 20) tokens[i] = others[i];
    for (const index_t slot : {0, 2, 3})
      std::fill_n(disturbed.all().at(slot, 0), model.state_size(), std::numeric_limits<T>::quiet_NaN());
    const auto got = forward(model, exec, packed{cu}, tokens, disturbed.in_place());
    const auto mine = [&](const std::vector<T>& logits) {
      return std::vector<T>(logits.begin() + 9 * vocabulary, logits.begin() + 20 * vocabulary);
    };
    CHECK(same_bits(mine(got.logits), mine(want.logits)));
    CHECK(same_bits(disturbed.slot(1), state.slot(1)));
    CHECK(std::isnan(got.logits.back()));
  };
  const auto exact = open_golden<x070, double>("n16");
  rwkv7::reference_executor reference;
  check(exact, reference, 0.0);
  const auto model = open_golden<x070, float>("h4n64");
  for_each_cpu_executor([&](auto& exec) { check(model, exec, 0.0f); });
}

TEST_CASE("D4: the reference executor gives the same bits wherever T is split") {
  const auto model = open_golden<x070, double>("n16");
  rwkv7::reference_executor exec;
  const auto want = in_parts(model, exec, 70);
  for (const index_t chunk : {1, 3, 32, 69}) {
    CAPTURE(chunk);
    CHECK(same_bits(in_parts(model, exec, chunk), want));
  }
}

TEST_CASE("D4: the cpu executors give the same bits where T is split at multiples of 32, and nearly so elsewhere") {
  const auto model = open_golden<x070, float>("h4n64");
  double worst = 0;
  for_each_arch([&](auto& exec) {
    const auto want = in_parts(model, exec, 70);
    for (const index_t chunk : {32, 64}) {
      CAPTURE(chunk);
      CHECK(same_bits(in_parts(model, exec, chunk), want));
    }
    for (const index_t chunk : {1, 3, 31, 33, 69}) {
      CAPTURE(chunk);
      const double distance = relative_l2(in_parts(model, exec, chunk), want);
      CHECK(distance <= budget::split);
      worst = std::fmax(worst, distance);
    }
  });
  std::printf("D4: T split elsewhere than at multiples of 32: %.1e relative L2 at most\n", worst);
}

TEST_CASE("D4: the cpu executors give the same bits whatever other sequences are in the call") {
  const auto model = open_golden<x070, float>("h4n64");
  const auto vocabulary = model.sizes().V;
  for_each_arch([&](auto& exec) {
    const auto tokens = some_tokens("batch", 5 * 11, vocabulary);
    state_pool<float> together(model, 5);
    const auto all = forward(model, exec, dense{5, 11}, tokens, together.in_place());
    for (index_t i = 0; i < 5; ++i) {
      CAPTURE(i);
      state_pool<float> alone(model, 1);
      const std::vector<std::int32_t> part(tokens.begin() + i * 11, tokens.begin() + (i + 1) * 11);
      const auto want = forward(model, exec, dense{1, 11}, part, alone.in_place());
      const std::vector<float> got(all.logits.begin() + i * 11 * vocabulary,
                                   all.logits.begin() + (i + 1) * 11 * vocabulary);
      CHECK(same_bits(got, want.logits));
      CHECK(same_bits(together.slot(i), alone.values));
    }
  });
}
