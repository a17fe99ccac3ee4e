// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include "rwkv7/ops/token_shift.hpp"
#include "support/random.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

TEST_CASE("token_shift names the operand that is wrong and writes nothing") {
  tensor<float, 3> x({2, 3, 4}), y0 = x, y1 = x;
  tensor<float, 1> mix({4});
  tensor<float, 2> S({2, 4});
  const token_shift_inputs<float, 2> in{.x = x, .mix = {mix.in(), mix.in()}};
  const token_shift_outputs<float, 2> out{.y = {y0.out(), y1.out()}};
  const auto state = shift_state<float>::in_place(S.out());
  const auto refuses = [&](const char* text, const sequences& seq, auto change) {
    auto in_ = in;
    auto out_ = out;
    auto state_ = state;
    change(in_, out_, state_);
    check_refused(text, validate_token_shift(seq, in_, out_, state_),
                  [&](auto& exec) { token_shift(exec, seq, in_, out_, state_); });
    CHECK((x.untouched() && y0.untouched() && y1.untouched() && S.untouched()));
  };
  constexpr dense two{2, 3};
  const auto nothing = [](auto&...) {};
  refuses("rwkv7::token_shift: x axis T: got 3, want 4", dense{2, 4}, nothing);
  refuses("rwkv7::token_shift: T: got -1, want 0 or more", dense{2, -1}, nothing);
  refuses("rwkv7::token_shift: mix axis C: got 3, want 4", two,
          [&](auto& i, auto&...) { i.mix[1] = resized(mix.in(), 0, 3); });
  refuses("rwkv7::token_shift: y axis C: got 3, want 4", two,
          [](auto&, auto& o, auto&) { o.y[0] = resized(o.y[0], 2, 3); });
  refuses("rwkv7::token_shift: state.final axis C: got 3, want 4", two, [](auto&, auto&, auto& s) {
    s = {{}, resized(s.final, 1, 3)};
  });
  refuses("rwkv7::token_shift: state slots: got 1, want at least B = 2", two,
          [](auto&, auto&, auto& s) { s.final = resized(s.final, 0, 1); });
  refuses("rwkv7::token_shift: x: not given", two, [](auto& i, auto&...) { i.x = {}; });
  refuses("rwkv7::token_shift: mix: not given", two, [](auto& i, auto&...) { i.mix[0] = {}; });
  refuses("rwkv7::token_shift: y: not given", two, [](auto&, auto& o, auto&) { o.y[1] = {}; });
  refuses("rwkv7::token_shift: x axis C: got stride 2, want 1", two,
          [](auto& i, auto&...) { i.x = every_second(i.x); });
  refuses("rwkv7::token_shift: y overlaps x", two, [&](auto&, auto& o, auto&) { o.y[1] = x.out(); });
  refuses("rwkv7::token_shift: y overlaps another y", two, [](auto&, auto& o, auto&) { o.y[1] = o.y[0]; });
  refuses("rwkv7::token_shift: state.final overlaps x", two, [&](auto&, auto&, auto& s) {
    s = {{}, resized(x.out()[1], 0, 2)};
  });
  refuses("rwkv7::token_shift: state.final overlaps state.initial", two,
          [](auto&, auto&, auto& s) { s.initial = reversed(s.initial, 0); });
  refuses("rwkv7::token_shift: state.final axis 0: stride 0 cannot be written (a broadcast tensor is read only)", two,
          [](auto&, auto&, auto& s) {
            s.final = view<float, 2>(s.final.data(), {2, 4}, {0, 1});
          });
}

TEST_CASE("token_shift refuses bad lists of sequences and slots, and writes nothing") {
  tensor<float, 3> x({1, 5, 4}), y = x;
  tensor<float, 1> mix({4});
  tensor<float, 2> S({3, 4});
  const token_shift_inputs<float, 1> in{.x = x, .mix = {mix.in()}};
  const token_shift_outputs<float, 1> out{.y = {y.out()}};
  const auto refuses = [&](const char* text, std::vector<std::int64_t> cu, std::vector<std::int64_t> slots) {
    const packed seq{cu, slots};
    const auto state = shift_state<float>::in_place(S.out());
    check_refused(text, validate_token_shift(seq, in, out, state),
                  [&](auto& exec) { token_shift(exec, seq, in, out, state); });
    CHECK((x.untouched() && y.untouched() && S.untouched()));
  };
  refuses("rwkv7::token_shift: cu_seqlens size: got 0, want at least 1", {}, {});
  refuses("rwkv7::token_shift: cu_seqlens[0]: got 1, want 0", {1, 5}, {});
  refuses("rwkv7::token_shift: cu_seqlens[2]: got 2, want at least the 3 before it", {0, 3, 2, 5}, {});
  refuses("rwkv7::token_shift: x axis T: got 5, want 6", {0, 6}, {});
  refuses("rwkv7::token_shift: state slots: got 3, want at least 4, one per sequence", {0, 1, 2, 3, 5}, {});
  refuses("rwkv7::token_shift: state_indices size: got 1, want 2, one per sequence", {0, 2, 5}, {0});
  refuses("rwkv7::token_shift: state_indices[1]: got 3, want 0 to 2", {0, 2, 5}, {0, 3});
  refuses("rwkv7::token_shift: state_indices[0]: got -1, want 0 to 2", {0, 2, 5}, {-1, 0});
  refuses("rwkv7::token_shift: state_indices[1]: got 2 again, want distinct slots", {0, 2, 5}, {2, 2});
}
