// SPDX-License-Identifier: MIT
// rwkv7-test: not sanitized
// Whole models with activations in bf16, f16 and double on the cpu.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "rwkv7/model/prefill.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"

using namespace rwkv7_test;
using rwkv7::bf16;
using rwkv7::dense;
using rwkv7::f16;
using rwkv7::packed;
using rwkv7::x070;

namespace {

/// Logits of all tokens, of the last ones, and the states, from states that are not empty.
template <class T, class Exec, class Real = rwkv7::compute_type<T>>
std::vector<Real> run(const language_model<x070, T>& model, Exec& exec, index_t B, index_t length) {
  const auto vocabulary = model.sizes().V;
  state_pool<Real> state(model, B);
  forward(model, exec, dense{B, 2}, some_tokens("before", B * 2, vocabulary), state.in_place());
  auto all = forward(model, exec, dense{B, length}, some_tokens("run", B * length, vocabulary), state.in_place());
  all.logits.insert(all.logits.end(), all.last.begin(), all.last.end());
  all.logits.insert(all.logits.end(), state.values.begin(), state.values.end());
  return all.logits;
}

/// 70 tokens in parts of `chunk`: logits and state.
template <class T, class Exec, class Real = rwkv7::compute_type<T>>
std::vector<Real> in_parts(const language_model<x070, T>& model, Exec& exec, index_t chunk) {
  state_pool<Real> state(model, 1);
  auto all = rwkv7_test::prefill(model, exec, some_tokens("parts", 70, model.sizes().V), chunk, state);
  all.insert(all.end(), state.values.begin(), state.values.end());
  return all;
}

template <class T, class Exec>
void check_golden(const char* name, Exec& exec) {
  CAPTURE(name);
  const golden_model golden(name);
  const auto model = open_golden<x070, T>(name);
  const index_t B = golden.size("B"), length = golden.size("T");
  state_pool<float> state(model, B);
  const auto out = forward(model, exec, dense{B, length}, golden.tokens(), state.in_place());
  const double logits = relative_l2(out.logits, golden.values("logits"));
  CHECK(logits <= budget::model_in<T>);
  double states = 0;
  for (index_t i = 0; i < model.sizes().layers; ++i) {
    const auto layer = rwkv7::state_of_layer<x070>(model.sizes(), state.in_place(), i);
    const std::string S = "state/" + std::to_string(i);
    if (golden.has(S)) states = std::max(states, relative_l2(elements(layer.att.S.final), golden.values(S)));
  }
  CHECK(states <= budget::model_in<T>);
  std::printf("%-12s %s: relative L2 of logits %.1e, of states %.1e\n", name, rwkv7::name_of(rwkv7::dtype_of<T>),
              logits, states);
}

template <class T>
void check_levels(const std::vector<index_t>& cuts) {
  const auto model = open_golden<x070, T>("h4n64");
  rwkv7::inline_executor one;
  for (const index_t B : {1, 3})
    for (const index_t length : {1, 40}) {
      const auto want = run(model, one, B, length);
      CHECK(same_bits(run(model, one, B, length), want));
      for (const int n : {2, 3}) {
        if constexpr (std::is_same_v<T, f16>)
          continue;
        else {
          rwkv7::thread_executor threads(n);
          CHECK(same_bits(run(model, threads, B, length), want));
        }
      }
    }
  const auto whole = in_parts(model, one, 70);
  for (const index_t chunk : cuts) CHECK(same_bits(in_parts(model, one, chunk), whole));

  using real = rwkv7::compute_type<T>;
  const std::vector<std::int32_t> cu = {0, 9, 20, 40};  // sequence 1 is looked at
  const auto tokens = some_tokens("mine", 40, model.sizes().V);
  state_pool<real> state(model, 3), disturbed(model, 3);
  const auto want = forward(model, one, packed{cu}, tokens, state.in_place());
  for (const index_t slot : {0, 2})
    std::fill_n(disturbed.all().at(slot, 0), model.state_size(), std::numeric_limits<real>::quiet_NaN());
  const auto got = forward(model, one, packed{cu}, tokens, disturbed.in_place());
  const auto mine = [&](const std::vector<real>& logits) {
    return std::vector<real>(logits.begin() + 9 * model.sizes().V, logits.begin() + 20 * model.sizes().V);
  };
  CHECK(same_bits(mine(got.logits), mine(want.logits)));
  CHECK(same_bits(disturbed.slot(1), state.slot(1)));
  CHECK_FALSE(same_bits(got.logits, want.logits));
}

}  // namespace

TEST_CASE_TEMPLATE("golden models with activations of 16 bits are within some roundings of NumPy in float64", T, bf16,
                   f16) {
  rwkv7::inline_executor exec;
  for (const char* name : {"h4n64", "n96", "n16_d_ne_c"}) check_golden<T>(name, exec);
}

TEST_CASE("the reference executor on activations in bf16 is as far from NumPy") {
  rwkv7::reference_executor exec;
  check_golden<bf16>("h4n64", exec);
}

TEST_CASE("D1 to D4 with activations of 16 bits") {
  check_levels<bf16>({32, 64});
  check_levels<f16>({32, 64});
}

TEST_CASE("a model in double on a cpu is that of the reference executor; any cut is bitwise") {
  rwkv7::inline_executor exec;
  rwkv7::reference_executor reference;
  for (const char* name : {"h4n64", "n16_d_ne_c"}) {
    const auto model = open_golden<x070, double>(name);
    CHECK(relative_l2(run(model, exec, 2, 37), run(model, reference, 2, 37)) <= budget::model_in_double);
  }
  check_levels<double>({1, 7, 32});
}

TEST_CASE("activations of 16 bits take half the scratch, and the state and outputs of float") {
  const auto narrow = open_golden<x070, bf16>("h4n64");
  const auto wide = open_golden<x070, float>("h4n64");
  CHECK(narrow.state_size() == wide.state_size());
  const dense seq{1, 1024};
  CHECK(static_cast<double>(narrow.workspace_size(seq)) < 0.55 * static_cast<double>(wide.workspace_size(seq)));

  // Hidden rows and logits of one prompt in two calls, by way of prefill, are those of one.
  rwkv7::inline_executor exec;
  const auto V = wide.sizes().V, C = wide.sizes().C;
  const auto tokens = some_tokens("prompt", 64, V);
  const view<const std::int32_t, 2> all(tokens.data(), {1, 64});
  std::vector<float> last(count_of(V)), last_of_prefill(last), hidden(count_of(64 * C));
  state_pool<float> state(narrow, 1), state_of_prefill(narrow, 1);
  std::vector<std::byte> scratch(narrow.workspace_size(dense{1, 64}));
  narrow.forward(exec, dense{1, 64}, all,
                 {.last = view<float, 2>(last.data(), {1, V}), .hidden = view<float, 3>(hidden.data(), {1, 64, C})},
                 state.in_place(), rwkv7::workspace(scratch));
  rwkv7::prefill(narrow, exec, all, 32, {.last = view<float, 2>(last_of_prefill.data(), {1, V})},
                 state_of_prefill.all(), rwkv7::workspace(scratch), [](index_t) {});
  CHECK(same_bits(last, last_of_prefill));
  CHECK(same_bits(state.values, state_of_prefill.values));
}
