// SPDX-License-Identifier: MIT
// What the head reads, as an output of its own.
#include <doctest/doctest.h>

#include "rwkv7/model/language_model.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::x070;

TEST_CASE("logits are the head's product with the hidden rows, and asking for these changes no bit") {
  for_each_kind([](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto model = open_golden<x070, T>("n16");
    const auto [V, C] = std::pair(model.sizes().V, model.sizes().C);
    const auto tokens = some_tokens("hidden", 10, V);
    state_pool<T> state(model, 2), with(model, 2), alone(model, 2);
    const auto want = forward(model, exec, dense{2, 5}, tokens, state.in_place());

    const view<const std::int32_t, 2> ids(tokens.data(), {2, 5});
    std::vector<std::byte> scratch(model.workspace_size(dense{2, 5}));
    std::vector<T> hidden(count_of(10 * C)), only(hidden.size()), logits(want.logits.size());
    model.forward(exec, dense{2, 5}, ids,
                  {.logits = view<T, 3>(logits.data(), {2, 5, V}), .hidden = view<T, 3>(hidden.data(), {2, 5, C})},
                  with.in_place(), rwkv7::workspace(scratch));
    CHECK(same_bits(logits, want.logits));
    CHECK(same_bits(with.values, state.values));
    model.forward(exec, dense{2, 5}, ids, {.hidden = view<T, 3>(only.data(), {2, 5, C})}, alone.in_place(),
                  rwkv7::workspace(scratch));
    CHECK(same_bits(only, hidden));
    CHECK(same_bits(alone.values, state.values));

    std::vector<float> head;
    for (const auto& tensor : golden_model("n16").checkpoint())
      if (tensor.name == "head.weight") {
        head.resize(count_of(V * C));
        std::memcpy(head.data(), tensor.bytes.data(), tensor.bytes.size());
      }
    REQUIRE(!head.empty());
    std::vector<double> product;
    for (index_t row = 0; row < 10; ++row)
      for (index_t v = 0; v < V; ++v) {
        double sum = 0;
        for (index_t c = 0; c < C; ++c)
          sum += static_cast<double>(head[count_of(v * C + c)]) * static_cast<double>(hidden[count_of(row * C + c)]);
        product.push_back(sum);
      }
    const double distance = relative_l2(logits, product);
    CHECK(distance <= budget::reduction(C));
  });
}

TEST_CASE("hidden rows that do not fit or lie on another output are refused") {
  const auto model = open_golden<x070, float>("n16");
  const index_t V = model.sizes().V, C = model.sizes().C;
  const auto tokens = some_tokens("hidden", 10, V);
  std::vector<std::byte> scratch(model.workspace_size(dense{2, 5}));
  std::vector<float> memory(count_of(10 * V));
  auto exec = one_thread();
  const auto refused = [&](const std::string& text, const rwkv7::language_model_outputs<float>& out) {
    CHECK(complaint_of([&] {
            model.forward(exec, dense{2, 5}, view<const std::int32_t, 2>(tokens.data(), {2, 5}), out, {},
                          rwkv7::workspace(scratch));
          }) == "rwkv7::language_model: " + text);
  };
  const view<float, 3> hidden(memory.data(), {2, 5, C});
  const auto n = [](index_t x) { return std::to_string(x); };
  refused("hidden axis C: got " + n(C - 1) + ", want " + n(C), {.hidden = resized(hidden, 2, C - 1)});
  refused("hidden axis T: got 4, want 5", {.hidden = resized(hidden, 1, 4)});
  refused("hidden overlaps logits", {.logits = {memory.data(), {2, 5, V}}, .hidden = hidden});
  refused("hidden overlaps last", {.last = {memory.data(), {2, V}}, .hidden = hidden});
}
