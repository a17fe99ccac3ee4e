// SPDX-License-Identifier: MIT
// Wrong calls of forward: each is named in the error, and nothing is written.
#include <doctest/doctest.h>

#include <functional>

#include "rwkv7/model/language_model.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::language_model_outputs;
using rwkv7::packed;
using rwkv7::x070;

namespace {

constexpr index_t B = 2, length = 3, vocabulary = 61;

/// A call that is right, in memory that shows what was written; each test spoils one thing.
struct call {
  static inline const language_model<x070, float> model = open_golden<x070, float>("n16");

  std::vector<std::int32_t> ids = some_tokens("refused", B* length, vocabulary);
  std::vector<float> logits = std::vector<float>(count_of(B * length * vocabulary), poison<float>()),
                     last = std::vector<float>(count_of(B * vocabulary), poison<float>()),
                     state = std::vector<float>(count_of(B * model.state_size()), 0.5f);
  std::vector<std::byte> scratch = std::vector<std::byte>(model.workspace_size(dense{B, length}), std::byte{0x5a});

  sequences seq = dense{B, length};
  view<const std::int32_t, 2> tokens{ids.data(), {B, length}};
  language_model_outputs<float> out{.logits = {logits.data(), {B, length, vocabulary}},
                                    .last = {last.data(), {B, vocabulary}}};
  view<float, 2> slots{state.data(), {B, model.state_size()}};
  carried<float, 2> states = carried<float, 2>::in_place(slots);
  std::span<std::byte> memory = scratch;

  call() = default;
  call(const call&) = delete;
  call& operator=(const call&) = delete;

  void refused(const std::string& text) const {
    CAPTURE(text);
    const auto before = std::tuple(logits, last, state, scratch);
    const auto problem = model.validate_forward(seq, tokens, out, states, rwkv7::workspace(memory));
    CHECK(text == problem.message());
    rwkv7::reference_executor exec;
    CHECK(text == complaint_of([&] { model.forward(exec, seq, tokens, out, states, rwkv7::workspace(memory)); }));
    CHECK(same_bits(std::get<0>(before), logits));
    CHECK(same_bits(std::get<1>(before), last));
    CHECK(same_bits(std::get<2>(before), state));
    CHECK(std::get<3>(before) == scratch);
  }
};

std::string text(const std::string& rest) { return "rwkv7::language_model: " + rest; }

}  // namespace

TEST_CASE("the call that the others spoil is right") {
  call c;
  CHECK(!call::model.validate_forward(c.seq, c.tokens, c.out, c.states, rwkv7::workspace(c.memory)));
}

TEST_CASE("a token outside the vocabulary") {
  call c;
  c.ids[4] = 61;
  c.refused(text("tokens[1, 1]: got 61, want 0 to 60"));
  c.ids[2] = -1;
  c.refused(text("tokens[0, 2]: got -1, want 0 to 60"));
}

TEST_CASE("wrong shapes and strides") {
  const auto size = call::model.state_size();
  {
    call c;
    c.tokens = resized(c.tokens, 1, 2);
    c.refused(text("tokens axis T: got 2, want 3"));
    c.tokens = {};
    c.refused(text("tokens: not given"));
  }
  {
    call c;
    c.out.logits = resized(c.out.logits, 2, 60);
    c.refused(text("logits axis V: got 60, want 61"));
  }
  {
    call c;
    c.out.logits = every_second(c.out.logits);
    c.refused(text("logits axis V: got stride 2, want 1"));
  }
  {
    call c;
    c.out.last = resized(c.out.last, 0, 1);
    c.refused(text("last axis sequences: got 1, want 2"));
    c.out.last = {c.last.data(), {B, vocabulary}, {0, 1}};
    c.refused(text("last axis 0: stride 0 cannot be written (a broadcast tensor is read only)"));
  }
  {
    call c;
    c.states = carried<float, 2>::in_place(resized(c.slots, 1, size - 1));
    c.refused(text("state.initial axis state: got " + std::to_string(size - 1) + ", want " + std::to_string(size)));
    c.states = {.final = resized(c.slots, 1, size - 1)};
    c.refused(text("state.final axis state: got " + std::to_string(size - 1) + ", want " + std::to_string(size)));
    c.states = {.final = {c.state.data(), {B, size}, {0, 1}}};
    c.refused(text("state.final axis 0: stride 0 cannot be written (a broadcast tensor is read only)"));
    c.states = {.final = {c.state.data(), {B, size}, {size - 1, 1}}};
    c.refused(text("state.final axis slots stride: got " + std::to_string(size - 1) + ", want at least state_size()"));
  }
}

TEST_CASE("bad sequences and slots") {
  call c;
  c.states = carried<float, 2>::in_place(resized(c.slots, 0, 1));
  c.refused(text("state slots: got 1, want at least B = 2"));
  c.states = carried<float, 2>::in_place(c.slots);
  c.tokens = {c.ids.data(), {1, 6}};
  c.out = {};
  const std::vector<std::int32_t> cu = {0, 2, 6}, falling = {0, 4, 2, 6}, twice = {1, 1}, far = {0, 2};
  c.seq = packed{falling};
  c.refused(text("cu_seqlens[2]: got 2, want at least the 4 before it"));
  c.seq = packed{cu, twice};
  c.refused(text("state_indices[1]: got 1 again, want distinct slots"));
  c.seq = packed{cu, far};
  c.refused(text("state_indices[1]: got 2, want 0 to 1"));
  c.seq = dense{-1, 6};
  c.refused(text("B: got -1, want 0 or more"));
}

TEST_CASE("too little scratch memory") {
  call c;
  const auto size = c.memory.size();
  c.memory = c.memory.first(size - 1);
  c.refused(text("workspace: got " + std::to_string(size - 1) + " bytes, want " + std::to_string(size)));
  c.memory = {};
  c.refused(text("workspace: got 0 bytes, want " + std::to_string(size)));
}

TEST_CASE("memory that two operands share") {
  const auto size = call::model.state_size();
  {
    call c;
    c.out.last = {c.logits.data() + 5, {B, vocabulary}};
    c.refused(text("last overlaps logits"));
    c.out = {.logits = {c.state.data(), {B, length, vocabulary}}};
    c.refused(text("logits overlaps state.initial"));
    c.out = {.last = {c.state.data(), {B, vocabulary}}};
    c.states = {.final = c.slots};
    c.refused(text("last overlaps state.final"));
    c.out = {.last = {reinterpret_cast<float*>(c.ids.data()), {B, vocabulary}}};
    c.refused(text("last overlaps tokens"));
  }
  {
    call c;
    c.states = {.initial = c.slots, .final = {c.state.data() + 1, {B, size}}};
    c.refused(text("state.final overlaps state.initial"));
  }
  {
    call c;
    c.states = {.final = {reinterpret_cast<float*>(c.memory.data()), {B, size}}};
    c.refused(text("workspace overlaps state.final"));
    c.states = {};
    c.out = {.logits = {reinterpret_cast<float*>(c.memory.data()), {B, length, vocabulary}}};
    c.refused(text("logits overlaps workspace"));
  }
}

TEST_CASE("an empty model") {
  const language_model<x070, float> model;
  CHECK(!model);
  CHECK(model.state_size() == 0);
  rwkv7::reference_executor exec;
  CHECK(complaint_of([&] {
          model.forward(exec, dense{1, 0}, {}, {}, {}, {});
        }) == text("layers: got 0, want 1 or more"));
}
