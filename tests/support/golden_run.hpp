// SPDX-License-Identifier: MIT
/// Runs a golden model and says how far it is from what NumPy got.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "rwkv7/exec/reference.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"

namespace rwkv7_test {

/// Runs the golden tokens through `model`, and greedily on from the first sequence, whose text must be the golden one.
/// The largest distance of anything else from what NumPy got.
template <rwkv7::variant V, class T, class Exec, class Distance>
double distance_from_golden(const golden_model& golden, const language_model<V, T>& model, Exec& exec,
                            Distance distance) {
  const auto& sizes = model.sizes();
  const index_t B = golden.size("B"), length = golden.size("T");
  state_pool<T> state(model, B);
  const auto out = forward(model, exec, rwkv7::dense{B, length}, golden.tokens(), state.in_place());

  double worst = 0;
  const auto compare = [&](const char* what, const std::vector<T>& got, const std::vector<double>& want) {
    const double d = distance(got, want);
    CAPTURE(what);
    CAPTURE(d);
    CHECK(!std::isnan(d));
    worst = std::fmax(worst, d);
  };
  compare("logits", out.logits, golden.values("logits"));
  std::vector<T> att, ffn;
  for (index_t i = 0; i < sizes.layers; ++i) {
    const auto layer = rwkv7::state_of_layer<V>(sizes, state.in_place(), i);
    const std::string S = "state/" + std::to_string(i);
    if (golden.has(S)) compare(S.c_str(), elements(layer.att.S.final), golden.values(S));
    const auto append = [](std::vector<T>& to, const std::vector<T>& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(att, elements(layer.att.shift.final));
    append(ffn, elements(layer.ffn.final));
  }
  if (golden.has("shift/att")) compare("shift/att", att, golden.values("shift/att"));
  compare("shift/ffn", ffn, golden.values("shift/ffn"));

  state_pool<T> first(model, 1);
  std::vector<std::int32_t> prompt = golden.tokens();
  prompt.resize(count_of(length));
  const auto logits = prefill(model, exec, prompt, length, first);
  CHECK(greedy(model, exec, logits, golden.greedy().size(), first) == golden.greedy());
  return worst;
}

/// Checks the golden model `name` on the reference executor in double, and in float on every executor that
/// `for_each(run)` calls run with.
template <rwkv7::variant V, class ForEach>
void check_golden_model(const std::string& name, ForEach for_each) {
  CAPTURE(name);
  const golden_model golden(name);
  const temporary_file file(safetensors_bytes(golden.checkpoint()));
  const auto exact = language_model<V, double>::open(file.path(), {.head_size = golden.size("N")});
  const auto& sizes = exact.sizes();
  CHECK(sizes.C == golden.size("C"));
  CHECK(sizes.H == golden.size("H"));
  CHECK(sizes.H_kv == golden.size("H_kv"));
  CHECK(sizes.N == golden.size("N"));
  CHECK(sizes.F == golden.size("F"));
  CHECK(sizes.V == golden.size("V"));
  CHECK(sizes.layers == golden.size("layers"));

  rwkv7::reference_executor reference;
  const auto absolute = [](const auto& got, const auto& want) { return max_abs(got, want); };
  const double definition = distance_from_golden(golden, exact, reference, absolute);
  CHECK(definition <= budget::definition_of_model);

  const auto model = language_model<V, float>::open(file.path(), {.head_size = golden.size("N")});
  const auto relative = [](const auto& got, const auto& want) { return relative_l2(got, want); };
  double worst = 0;
  for_each([&](auto&& exec) { worst = std::fmax(worst, distance_from_golden(golden, model, exec, relative)); });
  CHECK(worst <= budget::model);
  std::printf("%-24s reference in double: %.1e max abs   cpu in float: %.1e relative L2\n", name.c_str(), definition,
              worst);
}

}  // namespace rwkv7_test
