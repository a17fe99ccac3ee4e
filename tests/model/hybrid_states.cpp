// SPDX-License-Identifier: MIT
// States of linearised Transformers with attention layers, kept in files and handed out by a pool.
#include <doctest/doctest.h>

#include "rwkv7/exec/reference.hpp"
#include "rwkv7/model/state_file.hpp"
#include "rwkv7/model/state_pool.hpp"
#include "support/compare.hpp"
#include "support/hybrid_model.hpp"
#include "support/temporary_folder.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::packed;
using rwkv7::save_states;
using rwkv7::state_file;
using rwkv7::state_format_of;
using rwkv7::state_layout;

namespace {

/// Layer 2 of three is attention.
constexpr auto V = rwkv7::hxa07b;
constexpr index_t vocabulary = 29;

template <class T>
language_model<V, T> model(index_t context, index_t window) {
  static const family_case golden("hxa07b");
  auto config = config_of(golden);
  config.context = context, config.window = window;
  return open_family<V, T>(golden, config);
}
/// Two sequences, the ring of the first not full, that of the second turned over.
const std::vector<std::int32_t> bounds{0, 6, 26};
std::vector<std::int32_t> prompts() { return some_tokens("prompts", 26, vocabulary); }

}  // namespace

TEST_CASE("a state from a file is the state that was saved, to the last bit") {
  rwkv7::reference_executor exec;
  const temporary_folder folder;
  const auto check = [&](auto zero) {
    using T = decltype(zero);
    const auto m = model<T>(8, 5);
    state_pool<T> states(m, 2), read(m, 2);
    forward(m, exec, packed{bounds}, prompts(), states.in_place());
    for (const auto layout : {state_layout::value_key, state_layout::key_value}) {
      CHECK(save_states(folder.file("states"), state_format_of(m), states.all(), {}, layout));
      const auto file = state_file::open(folder.file("states"));
      std::fill(read.values.begin(), read.values.end(), T(7));
      CHECK(file.read(state_format_of(m), 1, read.all()[1]) == std::uint64_t{20});
      CHECK(file.read(state_format_of(m), 0, read.all()[0]) == std::uint64_t{6});
      CHECK(same_bits(read.values, states.values));
    }
  };
  check(0.0f);
  check(0.0);
}

TEST_CASE("a text goes on from a file in rings of another size as if it had never stopped") {
  rwkv7::reference_executor exec;
  const temporary_folder folder;
  const auto m = model<double>(8, 5);
  state_pool<double> states(m, 2);
  forward(m, exec, packed{bounds}, prompts(), states.in_place());
  CHECK(save_states(folder.file("states"), state_format_of(m), states.all()));
  const auto next = some_tokens("next", 22, vocabulary);
  const auto want = forward(m, exec, dense{2, 11}, next, states.in_place()).logits;
  for (const index_t context : {5, 7, 8, 9, 40}) {
    CAPTURE(context);
    const auto other = model<double>(context, 5);
    state_pool<double> here(other, 2);
    const auto file = state_file::open(folder.file("states"));
    for (const index_t slot : {0, 1}) CHECK(file.read(state_format_of(other), slot, here.all()[slot]));
    CHECK(forward(other, exec, dense{2, 11}, next, here.in_place()).logits == want);
  }
}

TEST_CASE(
    "a model that would see tokens which a smaller ring has lost refuses the state, also by way of a third model") {
  rwkv7::reference_executor exec;
  const temporary_folder folder;
  const auto format = [](const auto& m) { return state_format_of(m); };
  const auto narrow = model<double>(8, 5), wide = model<double>(32, 5), seeing = model<double>(32, 20);
  state_pool<double> states(narrow, 1), moved(wide, 1);
  prefill(narrow, exec, some_tokens("prompt", 18, vocabulary), 18, states);
  CHECK(save_states(folder.file("narrow"), format(narrow), states.all()));
  CHECK(state_file::open(folder.file("narrow")).read(format(wide), 0, moved.all()[0]));
  CHECK(save_states(folder.file("wide"), format(wide), moved.all()));
  for (const char* name : {"narrow", "wide"})
    CHECK_THROWS_AS(state_file::open(folder.file(name)).read(format(seeing), 0, moved.all()[0]), rwkv7::error);
}

TEST_CASE("models whose layers stand elsewhere, or with other heads, refuse the state by name") {
  const temporary_folder folder;
  const auto path = folder.file("states");
  const auto m = model<float>(8, 0);
  CHECK(m.attention_layers() == std::vector<index_t>{2});
  state_pool<float> states(m, 1);
  CHECK(save_states(path, state_format_of(m), states.all()));
  const auto complaint = [&](const rwkv7::state_format& want) -> std::string {
    try {
      state_file::open(path).read(want, 0, states.all()[0]);
    } catch (const rwkv7::error& e) {
      return std::string(e.what()).substr(("rwkv7::state_file: " + path + ": ").size());
    }
    return "";
  };
  const std::vector<index_t> first{0};
  CHECK(complaint(state_format_of<V>(m.sizes(), first)) == "attention layers[0]: got 2, want 0");
  auto sizes = m.sizes();
  sizes.H_kv = 4;
  CHECK(complaint(state_format_of<V>(sizes, m.attention_layers())) == "H_kv: got 2, want 4");
  constexpr auto rad = rwkv7::rad_rwkv7;
  CHECK(complaint(state_format_of<rad>(m.sizes(), m.attention_layers())).starts_with("variant bits: got "));
  const auto told = std::vector<std::uint64_t>{3};
  CHECK_THROWS_AS(save_states(path, state_format_of(m), states.all(), told), rwkv7::error);
}

TEST_CASE("sequences that come and go in the slots of a pool give what each gives alone") {
  rwkv7::reference_executor exec;
  const auto m = model<double>(8, 5);
  state_pool<double> memory(m, 3);
  rwkv7::state_pool<double> slots(memory.all());
  const auto one = some_tokens("one", 11, vocabulary), two = some_tokens("two", 4, vocabulary);
  const auto alone = [&](const std::vector<std::vector<std::int32_t>>& calls) {
    state_pool<double> state(m, 1);
    for (const auto& tokens : calls) prefill(m, exec, tokens, static_cast<index_t>(tokens.size()), state);
    return state.values;
  };
  const auto run = [&](std::int32_t slot, const std::vector<std::int32_t>& tokens) {
    const std::vector<std::int32_t> ends{0, static_cast<std::int32_t>(tokens.size())}, index{slot};
    forward(m, exec, packed{ends, index}, tokens, slots.states());
  };
  const auto a = *slots.acquire(), b = *slots.acquire();
  run(a, one);
  run(b, one);
  const auto c = *slots.branch(a);
  slots.release(b);
  const auto d = *slots.acquire();  // fresh where b was
  run(c, two);
  run(d, two);
  CHECK(same_bits(elements(slots[a]), alone({one})));
  CHECK(same_bits(elements(slots[c]), alone({one, two})));
  CHECK(same_bits(elements(slots[d]), alone({two})));
}
