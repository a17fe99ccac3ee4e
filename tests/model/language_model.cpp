// SPDX-License-Identifier: MIT
// What forward does with sequences, outputs and states, on a random model of three heads of 16.
#include "rwkv7/model/language_model.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>

#include "rwkv7/exec/reference.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::language_model_outputs;
using rwkv7::packed;
using rwkv7::x070;

namespace {

/// f(model, exec, zero) in double on the reference executor and in float on the cpu.
template <class F>
void for_each_model(F f) {
  rwkv7::reference_executor reference;
  f(open_golden<x070, double>("n16"), reference, 0.0);
  auto cpu = one_thread();
  f(open_golden<x070, float>("n16"), cpu, 0.0f);
}

/// Rows [first, first + count) of logits.
template <class T>
std::vector<T> rows(const std::vector<T>& logits, index_t width, index_t first, index_t count) {
  return {logits.begin() + first * width, logits.begin() + (first + count) * width};
}

}  // namespace

TEST_CASE("packed sequences in slots give what each gives alone") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const std::vector<index_t> lengths = {0, 1, 2, 15, 16, 17, 65};
    const std::vector<std::int32_t> slots = {4, 7, 0, 8, 2, 5, 1};
    std::vector<std::int32_t> cu = {0};
    for (const auto length : lengths) cu.push_back(cu.back() + static_cast<std::int32_t>(length));
    const auto vocabulary = model.sizes().V;
    const auto tokens = some_tokens("packed", cu.back(), vocabulary);

    // Slots that hold something already, from a first call over all nine.
    state_pool<T> pool(model, 9);
    forward(model, exec, dense{9, 3}, some_tokens("before", 27, vocabulary), pool.in_place());
    const auto before = pool;
    const auto all = forward(model, exec, packed{cu, slots}, tokens, pool.in_place());

    for (std::size_t i = 0; i < lengths.size(); ++i) {
      CAPTURE(lengths[i]);
      state_pool<T> alone(model, 1);
      alone.values = before.slot(slots[i]);
      const std::vector<std::int32_t> part(tokens.begin() + cu[i], tokens.begin() + cu[i + 1]);
      const auto want = forward(model, exec, dense{1, lengths[i]}, part, alone.in_place());
      CHECK(same_bits(rows(all.logits, vocabulary, cu[i], lengths[i]), want.logits));
      CHECK(same_bits(rows(all.last, vocabulary, static_cast<index_t>(i), 1), want.last));
      CHECK(same_bits(pool.slot(slots[i]), alone.values));
    }
    CHECK(same_bits(pool.slot(3), before.slot(3)));
    CHECK(same_bits(pool.slot(6), before.slot(6)));
  });
}

TEST_CASE("the last row of each sequence is that row of all logits, and an empty sequence's is left alone") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const std::vector<std::int64_t> cu = {0, 0, 3, 3, 3, 4, 9, 9};
    const auto vocabulary = model.sizes().V;
    const auto tokens = some_tokens("last", 9, vocabulary);
    const packed seq{cu};
    std::vector<T> logits(count_of(9 * vocabulary)), last(count_of(7 * vocabulary), T(12345));
    std::vector<std::byte> scratch(model.workspace_size(seq));
    model.forward(
        exec, seq, view<const std::int32_t, 2>(tokens.data(), {1, 9}),
        {.logits = view<T, 3>(logits.data(), {1, 9, vocabulary}), .last = view<T, 2>(last.data(), {7, vocabulary})}, {},
        rwkv7::workspace(scratch));
    for (index_t i = 0; i < 7; ++i) {
      CAPTURE(i);
      const auto end = cu[count_of(i + 1)];
      const auto want =
          end > cu[count_of(i)] ? rows(logits, vocabulary, end - 1, 1) : std::vector<T>(count_of(vocabulary), T(12345));
      CHECK(same_bits(rows(last, vocabulary, i, 1), want));
    }
  });
}

TEST_CASE("an output that is not asked for changes neither the other nor the state") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const dense seq{2, 5};
    const auto vocabulary = model.sizes().V;
    const auto tokens = some_tokens("outputs", 10, vocabulary);
    const view<const std::int32_t, 2> ids(tokens.data(), {2, 5});
    state_pool<T> both(model, 2), none(model, 2), all(model, 2), last(model, 2);
    const auto want = forward(model, exec, seq, tokens, both.in_place());
    std::vector<std::byte> scratch(model.workspace_size(seq));

    model.forward(exec, seq, ids, {}, none.in_place(), rwkv7::workspace(scratch));
    CHECK(same_bits(none.values, both.values));

    std::vector<T> logits(want.logits.size()), last_logits(want.last.size());
    model.forward(exec, seq, ids, {.logits = view<T, 3>(logits.data(), {2, 5, vocabulary})}, all.in_place(),
                  rwkv7::workspace(scratch));
    CHECK(same_bits(logits, want.logits));
    CHECK(same_bits(all.values, both.values));

    model.forward(exec, seq, ids, {.last = view<T, 2>(last_logits.data(), {2, vocabulary})}, last.in_place(),
                  rwkv7::workspace(scratch));
    CHECK(same_bits(last_logits, want.last));
    CHECK(same_bits(last.values, both.values));
  });
}

TEST_CASE("to copy a slot is to branch, to copy it back is to roll back") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const auto vocabulary = model.sizes().V;
    const auto prompt = some_tokens("prompt", 9, vocabulary), one = some_tokens("one", 4, vocabulary),
               other = some_tokens("other", 6, vocabulary);
    const auto bytes = static_cast<std::size_t>(model.state_size()) * sizeof(T);
    state_pool<T> state(model, 1), branch(model, 1);
    prefill(model, exec, prompt, 9, state);
    std::memcpy(branch.values.data(), state.values.data(), bytes);
    const auto saved = state.values;

    const auto first = prefill(model, exec, one, 4, state);
    const auto second = prefill(model, exec, other, 6, branch);
    CHECK(!same_bits(state.values, saved));
    std::memcpy(state.values.data(), saved.data(), bytes);
    CHECK(same_bits(prefill(model, exec, other, 6, state), second));
    CHECK(same_bits(state.values, branch.values));
    std::memcpy(branch.values.data(), saved.data(), bytes);
    CHECK(same_bits(prefill(model, exec, one, 4, branch), first));
  });
}

TEST_CASE("no initial state is a state of zeros, and a broadcast one starts every sequence from it") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const dense seq{3, 4};
    const auto tokens = some_tokens("initial", 12, model.sizes().V);
    state_pool<T> zeros(model, 3), fresh(model, 3);
    fresh.values.assign(fresh.values.size(), T(12345));
    const auto want = forward(model, exec, seq, tokens, zeros.in_place());
    CHECK(same_bits(forward(model, exec, seq, tokens, {.final = fresh.all()}).logits, want.logits));
    CHECK(same_bits(fresh.values, zeros.values));
    CHECK(same_bits(forward(model, exec, seq, tokens, {}).logits, want.logits));

    state_pool<T> prompt(model, 1), copies(model, 3), result(model, 3);
    prefill(model, exec, some_tokens("prompt", 7, model.sizes().V), 7, prompt);
    for (index_t i = 0; i < 3; ++i) std::copy(prompt.values.begin(), prompt.values.end(), copies.all().at(i, 0));
    const view<const T, 1> one_for_all(prompt.values.data(), {model.state_size()});
    const auto from_copies = forward(model, exec, seq, tokens, copies.in_place());
    const auto from_broadcast =
        forward(model, exec, seq, tokens, {.initial = rwkv7::broadcast(one_for_all, 3), .final = result.all()});
    CHECK(same_bits(from_broadcast.logits, from_copies.logits));
    CHECK(same_bits(result.values, copies.values));
  });
}

TEST_CASE("state slots and logits may lie apart, in strided memory") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const dense seq{2, 3};
    const auto vocabulary = model.sizes().V, size = model.state_size();
    const auto tokens = some_tokens("strided", 6, vocabulary);
    state_pool<T> tight(model, 2);
    const auto want = forward(model, exec, seq, tokens, tight.in_place());

    std::vector<T> memory(count_of(2 * (size + 5))), logits(count_of(6 * (vocabulary + 3)), T(12345));
    const view<T, 2> apart(memory.data(), {2, size}, {size + 5, 1});
    const view<T, 3> wide(logits.data(), {2, 3, vocabulary}, {3 * (vocabulary + 3), vocabulary + 3, 1});
    std::vector<std::byte> scratch(model.workspace_size(seq));
    model.forward(exec, seq, view<const std::int32_t, 2>(tokens.data(), {2, 3}), {.logits = wide},
                  carried<T, 2>::in_place(apart), rwkv7::workspace(scratch));
    CHECK(same_bits(elements(wide), want.logits));
    CHECK(same_bits(elements(apart), tight.values));
    CHECK(logits.back() == T(12345));
  });
}

TEST_CASE("no tokens, and no sequences, are legal") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    state_pool<T> state(model, 2);
    state.values.assign(state.values.size(), T(0.25));
    const auto before = state.values;
    forward(model, exec, dense{2, 0}, {}, state.in_place());
    forward(model, exec, dense{0, 3}, {}, state.in_place());
    forward(model, exec, packed{std::vector<std::int32_t>{0}}, {}, state.in_place());
    CHECK(same_bits(state.values, before));
  });
}

TEST_CASE("one model serves several threads at once") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    const auto tokens = some_tokens("threads", 12, model.sizes().V);
    state_pool<T> alone(model, 1);
    const auto want = prefill(model, exec, tokens, 5, alone);
    std::vector<std::vector<T>> got(4);
    std::vector<std::thread> threads;
    for (auto& logits : got)
      threads.emplace_back([&] {
        auto own = exec;
        state_pool<T> state(model, 1);
        logits = prefill(model, own, tokens, 5, state);
      });
    for (auto& thread : threads) thread.join();
    for (const auto& logits : got) CHECK(same_bits(logits, want));
  });
}

TEST_CASE("parameters in the caller's memory give what those in the file give; of the reference executor the bits") {
  for_each_model([](const auto& model, auto& exec, auto zero) {
    using T = decltype(zero);
    auto packed_model = open_golden<x070, T>("n16");
    std::vector<std::byte> memory(packed_model.weights_size());
    packed_model.pack(memory);
    const auto tokens = some_tokens("pack", 7, model.sizes().V);
    state_pool<T> from_file(model, 1), from_memory(model, 1);
    const auto in_memory = prefill(packed_model, exec, tokens, 7, from_memory);
    const auto in_file = prefill(model, exec, tokens, 7, from_file);
    // On a cpu the sums of ffn.value have another order.
    CHECK(relative_l2(in_memory, in_file) <= budget::split);
    CHECK(relative_l2(from_memory.values, from_file.values) <= budget::split);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(exec)>, rwkv7::reference_executor>) {
      CHECK(same_bits(in_memory, in_file));
      CHECK(same_bits(from_memory.values, from_file.values));
    }
  });
}
