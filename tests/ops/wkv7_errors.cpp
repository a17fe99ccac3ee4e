// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include "rwkv7/ops/wkv7.hpp"
#include "support/recurrence.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// Operands for two sequences of three tokens; every test spoils one thing.
struct call {
  tensor<float, 4> r{{2, 3, 4, 8}}, w = r, a = r, b = r, y = r;
  tensor<float, 4> k{{2, 3, 2, 8}}, v{{2, 3, 1, 8}}, S{{2, 4, 8, 8}}, S_new = S;

  template <class Change>
  void refused(const char* text, Change change, const sequences& seq = dense{2, 3}) {
    wkv7_inputs<float> in{.r = r, .w = decay<float>::logit(w), .k = k, .v = v, .a = a, .b = b};
    auto out = y.out();
    state<float> carried{S, S_new.out()};
    change(in, out, carried);
    check_refused(text, validate_wkv7(seq, in, out, carried), [&](auto& exec) { wkv7(exec, seq, in, out, carried); });
    for (const auto* x : {&r, &w, &a, &b, &y, &k, &v, &S, &S_new}) CHECK(x->untouched());
  }
};

}  // namespace

TEST_CASE("wkv7 names the operand and the axis that do not fit, and writes nothing") {
  call c;
  c.refused("rwkv7::wkv7: y axis N: got 7, want 8", [](auto&, auto& y, auto&) { y = resized(y, 3, 7); });
  c.refused("rwkv7::wkv7: y axis H: got 3, want 4", [](auto&, auto& y, auto&) { y = resized(y, 2, 3); });
  c.refused("rwkv7::wkv7: r axis T: got 2, want 3", [](auto& in, auto&...) { in.r = resized(in.r, 1, 2); });
  c.refused("rwkv7::wkv7: w axis N: got 7, want 8",
            [&](auto& in, auto&...) { in.w = decay<float>::log(resized(c.w.in(), 3, 7)); });
  c.refused("rwkv7::wkv7: k axis B: got 1, want 2", [](auto& in, auto&...) { in.k = resized(in.k, 0, 1); });
  c.refused("rwkv7::wkv7: v axis T: got 1, want 3", [](auto& in, auto&...) { in.v = resized(in.v, 1, 1); });
  c.refused("rwkv7::wkv7: a axis H: got 2, want 4", [](auto& in, auto&...) { in.a = resized(in.a, 2, 2); });
  c.refused("rwkv7::wkv7: b axis H: got 2, want 4", [](auto& in, auto&...) { in.b = in.k; });
  c.refused("rwkv7::wkv7: k heads: got 3, want a divisor of H = 4",
            [](auto& in, auto&...) { in.k = resized(in.r, 2, 3); });
  c.refused("rwkv7::wkv7: v heads: got 3, want a divisor of H = 4",
            [](auto& in, auto&...) { in.v = resized(in.r, 2, 3); });
  c.refused("rwkv7::wkv7: v heads: got 0, want a divisor of H = 4",
            [](auto& in, auto&...) { in.v = resized(in.v, 2, 0); });
  c.refused(
      "rwkv7::wkv7: r axis T: got 3, want 4", [](auto&...) {}, dense{2, 4});
  c.refused(
      "rwkv7::wkv7: B: got -1, want 0 or more", [](auto&...) {}, dense{-1, 3});
}

TEST_CASE("wkv7 names the operand that was not given, and writes nothing") {
  call c;
  c.refused("rwkv7::wkv7: r: not given", [](auto& in, auto&...) { in.r = {}; });
  c.refused("rwkv7::wkv7: r: not given", [&](auto& in, auto&...) { in.r = absent(c.r); });
  c.refused("rwkv7::wkv7: w: not given", [](auto& in, auto&...) { in.w = decay<float>::logit({}); });
  c.refused("rwkv7::wkv7: k: not given", [](auto& in, auto&...) { in.k = {}; });
  c.refused("rwkv7::wkv7: v: not given", [&](auto& in, auto&...) { in.v = absent(c.v); });
  c.refused("rwkv7::wkv7: a: not given", [](auto& in, auto&...) { in.a = {}; });
  c.refused("rwkv7::wkv7: b: not given", [](auto& in, auto&...) { in.b = {}; });
  c.refused("rwkv7::wkv7: y: not given", [](auto&, auto& y, auto&) { y = {}; });
}

TEST_CASE("wkv7 wants N contiguous, in every operand but the state") {
  call c;
  const auto wide = [](auto& x) { x = every_second(x); };
  c.refused("rwkv7::wkv7: r axis N: got stride 2, want 1", [&](auto& in, auto&...) { wide(in.r); });
  c.refused("rwkv7::wkv7: w axis N: got stride 2, want 1",
            [&](auto& in, auto&...) { in.w = decay<float>::factor(every_second(c.w.in())); });
  c.refused("rwkv7::wkv7: k axis N: got stride 2, want 1", [&](auto& in, auto&...) { wide(in.k); });
  c.refused("rwkv7::wkv7: v axis N: got stride 2, want 1", [&](auto& in, auto&...) { wide(in.v); });
  c.refused("rwkv7::wkv7: a axis N: got stride 2, want 1", [&](auto& in, auto&...) { wide(in.a); });
  c.refused("rwkv7::wkv7: b axis N: got stride 2, want 1", [&](auto& in, auto&...) { wide(in.b); });
  c.refused("rwkv7::wkv7: y axis N: got stride 2, want 1", [&](auto&, auto& y, auto&) { wide(y); });
}

TEST_CASE("wkv7 does not write onto what it reads") {
  call c;
  c.refused("rwkv7::wkv7: y overlaps r", [&](auto&, auto& y, auto&) { y = c.r.out(); });
  c.refused("rwkv7::wkv7: y overlaps w", [&](auto&, auto& y, auto&) { y = c.w.out(); });
  c.refused("rwkv7::wkv7: y overlaps k", [](auto& in, auto& y, auto&) { in.k = slice(y, 2, 1, 2); });
  c.refused("rwkv7::wkv7: y overlaps v", [](auto& in, auto& y, auto&) { in.v = slice(y, 2, 3, 1); });
  c.refused("rwkv7::wkv7: y overlaps a", [&](auto&, auto& y, auto&) { y = reversed(c.a.out(), 1); });
  c.refused("rwkv7::wkv7: y overlaps b", [&](auto&, auto& y, auto&) { y = c.b.out(); });
  const auto in_state = [](auto& y, auto of) { return view<float, 4>(of.data(), y.extents(), y.strides()); };
  c.refused("rwkv7::wkv7: y overlaps state.initial", [&](auto&, auto& y, auto&) { y = in_state(y, c.S.out()); });
  c.refused("rwkv7::wkv7: y overlaps state.final", [&](auto&, auto& y, auto&) { y = in_state(y, c.S_new.out()); });
  c.refused("rwkv7::wkv7: y axis 2: stride 0 cannot be written (a broadcast tensor is read only)",
            [](auto&, auto& y, auto&) {
              y = view<float, 4>(y.data(), y.extents(), {96, 32, 0, 1});
            });
}

TEST_CASE("wkv7 refuses a state that does not fit, overlaps or is broadcast for writing") {
  call c;
  const auto initial = [&](const char* text, auto f) {
    c.refused(text, [&](auto&, auto&, auto& s) { s.initial = f(s.initial); });
  };
  const auto final = [&](const char* text, auto f) {
    c.refused(text, [&](auto&, auto&, auto& s) { s.final = f(s.final); });
  };
  initial("rwkv7::wkv7: state.initial axis H: got 3, want 4", [](auto s) { return resized(s, 1, 3); });
  initial("rwkv7::wkv7: state.initial axis N: got 7, want 8", [](auto s) { return resized(s, 3, 7); });
  initial("rwkv7::wkv7: state slots: got 1, want at least B = 2", [](auto s) { return resized(s, 0, 1); });
  final("rwkv7::wkv7: state.final axis N: got 7, want 8", [](auto s) { return resized(s, 2, 7); });
  final("rwkv7::wkv7: state slots: got 1, want at least B = 2", [](auto s) { return resized(s, 0, 1); });
  final("rwkv7::wkv7: state.final axis 0: stride 0 cannot be written (a broadcast tensor is read only)", [](auto s) {
    return view<float, 4>(s.data(), s.extents(), {0, 64, 8, 1});
  });
  final("rwkv7::wkv7: state.final overlaps state.initial", [&](auto) { return reversed(c.S.out(), 0); });
  final("rwkv7::wkv7: state.final overlaps state.initial", [&](auto) { return from_key_value(c.S.out()); });
  c.refused("rwkv7::wkv7: state.final overlaps r", [](auto& in, auto&, auto& s) {
    in.r = view<const float, 4>(s.final.data(), {2, 3, 4, 8});
  });
  c.refused("rwkv7::wkv7: state.final overlaps b", [](auto& in, auto&, auto& s) {
    in.b = view<const float, 4>(s.final.data() + 200, {2, 3, 4, 8});
  });
}

TEST_CASE("wkv7 refuses bad lists of sequences and slots") {
  call c;
  const auto lists = [&](const char* text, std::vector<std::int32_t> cu, std::vector<std::int32_t> slots) {
    const auto one_row = [](auto& in, auto& y, auto&) {
      for (auto* x : {&in.r, &in.k, &in.v, &in.a, &in.b}) *x = resized(*x, 0, 1);
      in.w = decay<float>::logit(resized(in.w.values(), 0, 1));
      y = resized(y, 0, 1);
    };
    c.refused(text, one_row, packed{cu, slots});
  };
  lists("rwkv7::wkv7: cu_seqlens size: got 0, want at least 1", {}, {});
  lists("rwkv7::wkv7: cu_seqlens[0]: got 1, want 0", {1, 3}, {});
  lists("rwkv7::wkv7: cu_seqlens[2]: got 1, want at least the 2 before it", {0, 2, 1, 3}, {});
  lists("rwkv7::wkv7: r axis T: got 3, want 4", {0, 4}, {});
  lists("rwkv7::wkv7: state slots: got 2, want at least 3, one per sequence", {0, 1, 2, 3}, {});
  lists("rwkv7::wkv7: state_indices size: got 3, want 2, one per sequence", {0, 1, 3}, {0, 1, 0});
  lists("rwkv7::wkv7: state_indices[1]: got 2, want 0 to 1", {0, 1, 3}, {0, 2});
  lists("rwkv7::wkv7: state_indices[0]: got -1, want 0 to 1", {0, 1, 3}, {-1, 1});
  lists("rwkv7::wkv7: state_indices[1]: got 1 again, want distinct slots", {0, 1, 3}, {1, 1});
}

TEST_CASE("wkv7 finds a duplicate slot in a pool of a hundred thousand, whatever the distance") {
  std::vector<std::int32_t> cu, slots;
  for (std::int32_t i = 0; i <= 1000; ++i) cu.push_back(i);
  for (std::int32_t i = 0; i < 1000; ++i) slots.push_back(99999 - 97 * i);
  tensor<float, 4> x({1, 1000, 1, 1}), y = x, S({100000, 1, 1, 1});
  const wkv7_inputs<float> in{.r = x, .w = decay<float>::log(x), .k = x, .v = x, .a = x, .b = x};
  const auto carried = state<float>::in_place(S.out());
  CHECK_FALSE(validate_wkv7(packed{cu, slots}, in, y.out(), carried));
  slots[999] = slots[0];
  CHECK(std::string(validate_wkv7(packed{cu, slots}, in, y.out(), carried).message()) ==
        "rwkv7::wkv7: state_indices[999]: got 99999 again, want distinct slots");
}

TEST_CASE("wkv7 names the macro when a head is larger than was compiled in") {
  tensor<float, 4> x({1, 1, 1, max_head_size + 1}), y = x;
  const wkv7_inputs<float> in{.r = x, .w = decay<float>::log(x), .k = x, .v = x, .a = x, .b = x};
  const auto most = std::to_string(max_head_size), got = std::to_string(max_head_size + 1);
  check_refused("rwkv7::wkv7: head size N: got " + got + ", want at most " + most +
                    " (define RWKV7_MAX_HEAD_SIZE to compile in more)",
                validate_wkv7(dense{1, 1}, in, y.out(), {}), [&](auto& exec) {
                  wkv7(exec, dense{1, 1}, in, y.out());
                });
  CHECK(y.untouched());
}

TEST_CASE("wkv7 accepts operands and output as interleaved slices of one buffer") {
  const auto p = made_up({.B = 2, .T = 9, .N = 20});
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const operands_in_memory<T> x(p);
    tensor<T, 3> all({2, 9, 7 * 40}), y({2, 9, 40});
    const auto part = [&](index_t i) { return split_heads(slice(all.out(), 2, 40 * i, 40), 20); };
    index_t next = 0;
    const auto in = x.seen([&](const auto& operand) -> view<const T, 4> {
      const auto to = part(next++);
      for (index_t i = 0; i < operand.size(); ++i) to(i / 360, i / 40 % 9, i / 20 % 2, i % 20) = operand[i];
      return to;
    });
    wkv7(exec, dense{2, 9}, in, part(6));
    y.generate([&](index_t i) { return part(6)(i / 360, i / 40 % 9, i / 20 % 2, i % 20); });
    CHECK(same_bits(y.values(), run_wkv7(exec, p, zero, {.initial = start::absent})[0]));
    CHECK(all.surroundings_untouched());
  });
}
