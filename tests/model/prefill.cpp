// SPDX-License-Identifier: MIT
#include "rwkv7/model/prefill.hpp"

#include <doctest/doctest.h>

#include "support/allocation_counter.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::x070;

namespace {

/// A prompt for B sequences, and memory for a call of prefill.
template <class T>
struct prompt {
  const language_model<x070, T>& model;
  index_t B, length, chunk;
  std::vector<std::int32_t> tokens = some_tokens("prefill", B* length, model.sizes().V);
  state_pool<T> state{model, B};
  std::vector<T> last = std::vector<T>(count_of(B * model.sizes().V), T(12345));
  std::vector<std::byte> scratch = std::vector<std::byte>(model.workspace_size(dense{B, std::min(chunk, length)}));

  view<const std::int32_t, 2> ids(index_t first = 0) const {
    return slice(view<const std::int32_t, 2>(tokens.data(), {B, length}), 1, first, length - first);
  }
  rwkv7::language_model_outputs<T> out() { return {.last = {last.data(), {B, model.sizes().V}}}; }
  template <class Exec, class After>
  index_t run(Exec& exec, After after, index_t first = 0) {
    return rwkv7::prefill(model, exec, ids(first), chunk, out(), state.all(), rwkv7::workspace(scratch), after);
  }
};

}  // namespace

TEST_CASE("a prompt in chunks gives the bits of one call at multiples of 32, and nearly so elsewhere") {
  for_each_kind([](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto model = open_golden<x070, T>("n16");
    for (const index_t length : {1, 31, 32, 33, 70}) {
      prompt<T> whole{model, 2, length, length};
      const auto want = forward(model, exec, dense{2, length}, whole.tokens, whole.state.in_place());
      for (const index_t chunk : {1, 7, 32, 64, 1000}) {
        CAPTURE(length);
        CAPTURE(chunk);
        prompt<T> p{model, 2, length, chunk};
        std::vector<index_t> calls;
        CHECK(p.run(exec, [&](index_t fed) { calls.push_back(fed); }) == length);
        CHECK(relative_l2(p.state.values, whole.state.values) <= budget::split);
        CHECK(relative_l2(p.last, want.last) <= budget::split);
        if (chunk % 32 == 0 || chunk >= length) {
          CHECK(same_bits(p.state.values, whole.state.values));
          CHECK(same_bits(p.last, want.last));
        }
        std::vector<index_t> ends;
        for (index_t end = chunk; end < length; end += chunk) ends.push_back(end);
        ends.push_back(length);
        CHECK(calls == ends);
      }
    }
  });
}

TEST_CASE("a prefill that is stopped leaves the state where it says, and can be taken up from there") {
  for_each_kind([](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto model = open_golden<x070, T>("n16");
    prompt<T> whole{model, 2, 70, 32}, p{model, 2, 70, 32}, part{model, 2, 64, 32};
    whole.run(exec, [](index_t) {});
    CHECK(p.run(exec, [](index_t fed) { return fed < 64; }) == 64);
    CHECK(p.last == std::vector<T>(p.last.size(), T(12345)));

    for (index_t b = 0; b < 2; ++b) std::copy_n(p.ids().at(b, 0), 64, part.tokens.begin() + b * 64);
    part.run(exec, [](index_t) {});
    CHECK(same_bits(p.state.values, part.state.values));

    CHECK(p.run(
              exec, [](index_t) { return true; }, 64) == 6);
    CHECK(same_bits(p.state.values, whole.state.values));
    CHECK(same_bits(p.last, whole.last));

    struct stop {};
    prompt<T> thrown{model, 2, 70, 32};
    CHECK_THROWS_AS(thrown.run(exec,
                               [](index_t fed) {
                                 if (fed == 64) throw stop();
                               }),
                    stop);
    CHECK(same_bits(thrown.state.values, part.state.values));
  });
}

TEST_CASE("logits and hidden rows of each call are there for the callback") {
  for_each_kind([](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto model = open_golden<x070, T>("n16");
    const index_t V = model.sizes().V, C = model.sizes().C;
    prompt<T> p{model, 1, 70, 32};
    state_pool<T> state(model, 1);
    const auto want = forward(model, exec, dense{1, 70}, p.tokens, state.in_place()).logits;
    std::vector<T> logits(count_of(32 * V)), hidden(count_of(40 * C)), all;
    index_t before = 0;
    rwkv7::prefill(model, exec, p.ids(), 32,
                   {.logits = {logits.data(), {1, 32, V}}, .hidden = {hidden.data(), {1, 40, C}}}, p.state.all(),
                   rwkv7::workspace(p.scratch), [&](index_t fed) {
                     all.insert(all.end(), logits.begin(), logits.begin() + (fed - before) * V);
                     before = fed;
                   });
    CHECK(same_bits(all, want));
    CHECK(hidden[0] != T(0));
  });
}

TEST_CASE("nothing to feed is nothing done") {
  const auto model = open_golden<x070, float>("n16");
  auto exec = one_thread();
  prompt<float> p{model, 2, 0, 5};
  p.state.values.assign(p.state.values.size(), 0.25f);
  const auto before = p.state.values;
  CHECK(p.run(exec, [](index_t) { FAIL("called"); }) == 0);
  CHECK(same_bits(p.state.values, before));
}

TEST_CASE("nothing is allocated by prefill, nor by a call with snapshots") {
  const auto model = open_golden<x070, float>("n16");
  auto exec = one_thread();
  prompt<float> p{model, 2, 70, 32};
  std::vector<float> ring(count_of(2 * 5 * model.state_size())), hidden(count_of(2 * 32 * model.sizes().C));
  auto carried_on = p.state.in_place();
  carried_on.every = {{ring.data(), {2, 5, model.state_size()}}, 3};
  const auto run = [&] {
    p.run(exec, [](index_t) {});
    model.forward(exec, dense{2, 32}, slice(p.ids(), 1, 0, 32), {.hidden = {hidden.data(), {2, 32, model.sizes().C}}},
                  carried_on, rwkv7::workspace(p.scratch));
  };
  run();
  {
    const allocation_counter::armed counting;
    run();
  }
  CHECK(allocation_counter::new_calls() + allocation_counter::malloc_calls() == 0);
}

TEST_CASE("what a later call would refuse is refused before the first") {
  const auto model = open_golden<x070, float>("n16");
  const auto refused = [&](const std::string& text, auto spoil) {
    auto exec = one_thread();
    prompt<float> p{model, 2, 10, 4};
    auto ids = p.ids();
    auto out = p.out();
    auto state = p.state.all();
    spoil(p, ids, out, state);
    CHECK(complaint_of([&] {
            rwkv7::prefill(model, exec, ids, p.chunk, out, state, rwkv7::workspace(p.scratch),
                           [](index_t) { FAIL("called"); });
          }) == text);
    CHECK(p.state.values == std::vector<float>(p.state.values.size()));
  };
  refused("rwkv7::prefill: tokens[1, 9]: got 61, want 0 to 60", [](auto& p, auto&...) { p.tokens.back() = 61; });
  refused("rwkv7::prefill: tokens[0, 0]: got -1, want 0 to 60", [](auto& p, auto&...) { p.tokens.front() = -1; });
  refused("rwkv7::prefill: chunk: got 0, want 1 or more", [](auto& p, auto&...) { p.chunk = 0; });
  refused("rwkv7::prefill: state axis B: got 1, want 2",
          [](auto&, auto&, auto&, auto& state) { state = resized(state, 0, 1); });
  refused("rwkv7::prefill: state: not given", [](auto&, auto&, auto&, auto& state) { state = {}; });
  refused("rwkv7::language_model: last axis V: got 60, want 61",
          [](auto&, auto&, auto& out, auto&) { out.last = resized(out.last, 1, 60); });
  refused("rwkv7::prefill: logits axis T: got 3, want a chunk or more", [](auto& p, auto&, auto& out, auto&) {
    out.logits = {p.last.data(), {2, 3, 61}};
  });
  refused("rwkv7::prefill: last overlaps tokens", [](auto& p, auto&, auto& out, auto&) {
    out.last = {reinterpret_cast<float*>(p.tokens.data()) + 15, {2, 61}};
  });
  refused("rwkv7::language_model: workspace: got 0 bytes, want " + std::to_string(model.workspace_size(dense{2, 4})),
          [](auto& p, auto&...) { p.scratch.clear(); });
}
