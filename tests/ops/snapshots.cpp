// SPDX-License-Identifier: MIT
// The states after every token, from the operations that carry one: wkv7, wkv and token_shift.
#include <doctest/doctest.h>
#include <algorithm>

#include "rwkv7/ops/token_shift.hpp"
#include "rwkv7/ops/wkv7.hpp"
#include "support/recurrence.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// y, the final states [slots, H, N, N] and the ring [slots, R, H, N, N].
template <class T>
struct taken {
  std::vector<T> y, final, ring;
};

template <class T, class Exec, class Call>
taken<T> with_snapshots(Exec& exec, const recurrence& p, index_t R, index_t first, const view<T, 5>& ring, Call call) {
  tensor<T, 4> y({p.B, p.T, p.H, p.N}), S({p.pool, p.H, p.N, p.N});
  const auto seq = p.cu.empty() ? sequences(dense{p.B, p.T}) : sequences(packed{p.cu, p.slots});
  S.assign(std::vector<T>(p.S.begin(), p.S.end()));
  const operands_in_memory<T> x(p);
  call(exec, seq, x, y.out(), state<T>{S.in(), S.out(), {ring, first}});
  const auto size = static_cast<std::size_t>(p.pool * R * p.H * p.N * p.N);
  return {y.values(), S.values(), std::vector<T>(ring.data(), ring.data() + size)};
}

constexpr auto call_wkv7 = [](auto& exec, const auto& seq, const auto& x, const auto& y, const auto& state) {
  wkv7(exec, seq, x.all(), y, state);
};
template <read_policy Policy>
constexpr auto call_wkv = [](auto& exec, const auto& seq, const auto& x, const auto& y, const auto& state) {
  using T = typename std::remove_cvref_t<decltype(y)>::value_type;
  const auto all = x.all();
  wkv(exec, seq, wkv_inputs<T, Policy>{.r = all.r, .w = all.w, .k = all.k, .v = all.v}, y, state);
};

/// The same problem one call per token: y, and the state of every slot after each token.
template <class T, class Exec, class Call>
taken<T> token_by_token(Exec& exec, const recurrence& p, Call call) {
  const index_t count = p.cu.empty() ? p.B : static_cast<index_t>(p.cu.size()) - 1, size = p.H * p.N * p.N;
  tensor<T, 4> y({p.B, p.T, p.H, p.N}), S({p.pool, p.H, p.N, p.N});
  S.assign(std::vector<T>(p.S.begin(), p.S.end()));
  const operands_in_memory<T> x(p);
  taken<T> result;
  // [sequence][token] in the order of the sequences.
  for (index_t i = 0; i < count; ++i) {
    const index_t begin = p.cu.empty() ? 0 : p.cu[static_cast<std::size_t>(i)];
    const index_t end = p.cu.empty() ? p.T : p.cu[static_cast<std::size_t>(i + 1)];
    const index_t slot = p.slots.empty() ? i : p.slots[static_cast<std::size_t>(i)], row = p.cu.empty() ? i : 0;
    for (index_t t = begin; t < end; ++t) {
      const auto one = [&](const auto& v) { return slice(slice(v, 0, row, 1), 1, t, 1); };
      struct {
        decltype(x.all()) operands;
        auto all() const { return operands; }
      } part{x.seen([&](const auto& operand) { return one(operand.in()); })};
      call(exec, dense{1, 1}, part, one(y.out()), state<T>::in_place(slice(S.out(), 0, slot, 1)));
      const auto values = S.values();
      result.ring.insert(result.ring.end(), values.begin() + slot * size, values.begin() + (slot + 1) * size);
    }
  }
  result.y = y.values();
  result.final = S.values();
  return result;
}

/// Problems with T of 0, 1 and around 32, dense and packed in slots.
std::vector<recurrence> problems() {
  std::vector<recurrence> all;
  for (const index_t T : {0, 1, 7, 8, 31, 32, 33}) all.push_back(made_up({.B = 2, .T = T, .N = T == 32 ? 64 : 20}));
  recurrence packs{.B = 1, .T = 52, .H = 4, .H_k = 2, .H_v = 1, .N = 19};
  packs.cu = {0, 0, 1, 3, 18, 19, 52};
  packs.slots = {4, 7, 0, 8, 2, 5};
  packs.pool = 9;
  all.push_back(made_up(packs));
  return all;
}

/// Every sequence's tokens [begin, end) and its slot.
struct part {
  index_t begin, end, slot;
};
std::vector<part> parts_of(const recurrence& p) {
  std::vector<part> all;
  if (p.cu.empty())
    for (index_t b = 0; b < p.B; ++b) all.push_back({0, p.T, b});
  else
    for (std::size_t i = 0; i + 1 < p.cu.size(); ++i)
      all.push_back({p.cu[i], p.cu[i + 1], p.slots.empty() ? static_cast<index_t>(i) : p.slots[i]});
  return all;
}

template <class Call>
void check_snapshots(Call call) {
  for (const auto& p : problems())
    for (const index_t R : {index_t{1}, index_t{4}, p.T + 3})
      for (const index_t first : {index_t{0}, R - 1}) {
        CAPTURE(p.T);
        CAPTURE(R);
        CAPTURE(first);
        for_each_kind([&](auto& exec, auto zero) {
          using T = decltype(zero);
          const auto want = token_by_token<T>(exec, p, call);
          const index_t size = p.H * p.N * p.N;
          std::vector<T> memory(static_cast<std::size_t>(p.pool * R * size), T(12345));
          const auto got =
              with_snapshots<T>(exec, p, R, first, view<T, 5>(memory.data(), {p.pool, R, p.H, p.N, p.N}), call);
          CHECK(same_bits(got.y, want.y));
          CHECK(same_bits(got.final, want.final));
          // What the ring must hold: the last R states of each sequence, and elsewhere what it held.
          std::vector<T> ring(memory.size(), T(12345));
          auto state = want.ring.begin();
          for (const auto& [begin, end, slot] : parts_of(p))
            for (index_t t = 0; t < end - begin; ++t, state += size)
              std::copy(state, state + size, ring.begin() + (slot * R + (first + t) % R) * size);
          CHECK(same_bits(got.ring, ring));
        });
      }
}

}  // namespace

TEST_CASE("snapshots of wkv7 are the states of one call per token, and so is everything else") {
  check_snapshots(call_wkv7);
}

TEST_CASE("snapshots of wkv are the states of one call per token, and so is everything else") {
  check_snapshots(call_wkv<read_policy::after>);
  check_snapshots(call_wkv<read_policy::before>);
}

TEST_CASE("a snapshot is, within the budget of a split, the final state of a call that ends there") {
  for (const index_t N : {20, 64}) {
    const auto p = made_up({.B = 2, .T = 35, .N = N});
    for_each_kind([&](auto& exec, auto zero) {
      using T = decltype(zero);
      const index_t size = p.H * N * N;
      std::vector<T> memory(static_cast<std::size_t>(2 * 35 * size));
      with_snapshots<T>(exec, p, 35, 0, view<T, 5>(memory.data(), {2, 35, p.H, N, N}), call_wkv7);
      const operands_in_memory<T> x(p);
      for (const index_t tokens : {1, 2, 8, 31, 32, 33, 35}) {
        CAPTURE(tokens);
        tensor<T, 4> y({2, tokens, 2, N}), S({2, 2, N, N});
        S.assign(std::vector<T>(p.S.begin(), p.S.end()));
        wkv7(exec, dense{2, tokens}, x.seen([&](const auto& operand) { return slice(operand.in(), 1, 0, tokens); }),
             y.out(), state<T>::in_place(S.out()));
        std::vector<T> snapshot;
        for (const index_t b : {0, 1})
          snapshot.insert(snapshot.end(), memory.begin() + (b * 35 + tokens - 1) * size,
                          memory.begin() + (b * 35 + tokens) * size);
        const double distance = relative_l2(snapshot, S.values());
        CHECK(distance <= budget::split);
      }
    });
  }
}

TEST_CASE("snapshots do not depend on the number of threads, and may be all that is written") {
  const auto p = made_up({.B = 3, .T = 12, .H = 4, .H_k = 4, .H_v = 4, .N = 64});
  auto one = one_thread();
  std::vector<float> want(static_cast<std::size_t>(3 * 12 * 4 * 64 * 64)), got(want.size());
  const auto run = [&](auto& exec, std::vector<float>& memory) {
    const operands_in_memory<float> x(p);
    tensor<float, 4> y({3, 12, 4, 64}), S({3, 4, 64, 64});
    S.assign(p.S);
    wkv7(exec, dense{3, 12}, x.all(), y.out(), {S.in(), {}, {view<float, 5>(memory.data(), {3, 12, 4, 64, 64})}});
    CHECK(same_bits(S.values(), p.S));
    return y.values();
  };
  const auto y = run(one, want);
  for_each_threading([&](auto& exec) {
    std::fill(got.begin(), got.end(), 0.0f);
    CHECK(same_bits(run(exec, got), y));
    CHECK(same_bits(got, want));
  });
}

TEST_CASE("snapshots of a state kept as [key, value] are kept so") {
  const auto p = made_up({.B = 2, .T = 9, .N = 20});
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const std::size_t all = 2 * 9 * 2 * 20 * 20;
    std::vector<T> rows(all), columns(all), turned(all);
    with_snapshots<T>(exec, p, 9, 0, view<T, 5>(rows.data(), {2, 9, 2, 20, 20}), call_wkv7);
    with_snapshots<T>(exec, p, 9, 0, view<T, 5>(columns.data(), {2, 9, 2, 20, 20}, {9 * 800, 800, 400, 1, 20}),
                      call_wkv7);
    for (std::size_t i = 0; i < all; ++i) turned[i / 400 * 400 + i % 20 * 20 + i / 20 % 20] = columns[i];
    CHECK(same_bits(turned, rows));
  });
}

TEST_CASE("snapshots of token_shift are its inputs, the last R of each sequence") {
  const index_t C = 37;
  for (const index_t T : {0, 1, 5, 32, 33})
    for (const index_t R : {index_t{1}, index_t{3}, T + 1})
      for_each_kind([&](auto& exec, auto zero) {
        using E = decltype(zero);
        const index_t first = R / 2;
        tensor<E, 3> x({2, T, C}), y = x, plain = x;
        tensor<E, 2> S({2, C}), S_plain = S;
        tensor<E, 3> ring({2, R, C});
        fill(x, "x"), fill(S, "S"), fill(S_plain, "S");
        ring.generate([](index_t) { return E(12345); });
        const parameter<1> mix({C}, dtype::f32, "mix", 0.5f, 0.8f);
        const token_shift_inputs<E, 1> in{.x = x, .mix = {mix}};
        token_shift(exec, dense{2, T}, in, {.y = {plain.out()}}, shift_state<E>::in_place(S_plain.out()));
        token_shift(exec, dense{2, T}, in, {.y = {y.out()}}, {S.in(), S.out(), {ring.out(), first}});
        CHECK(same_bits(y.values(), plain.values()));
        CHECK(same_bits(S.values(), S_plain.values()));
        std::vector<E> want(static_cast<std::size_t>(2 * R * C), E(12345));
        const auto values = x.values();
        for (index_t b = 0; b < 2; ++b)
          for (index_t t = 0; t < T; ++t)
            std::copy_n(values.begin() + (b * T + t) * C, C, want.begin() + (b * R + (first + t) % R) * C);
        CHECK(same_bits(ring.values(), want));
      });
}

TEST_CASE("snapshots of token_shift of one long sequence do not depend on the number of threads") {
  tensor<float, 3> x({1, 60, 2055}), y = x, ring({1, 7, 2055});
  fill(x, "x");
  const parameter<1> mix({2055}, dtype::f32, "mix", 0.5f, 0.5f);
  const auto run = [&](auto& exec) {
    token_shift(exec, dense{1, 60}, token_shift_inputs<float, 1>{.x = x, .mix = {mix}}, {.y = {y.out()}},
                {{}, {}, {ring.out(), 2}});
    return ring.values();
  };
  auto one = one_thread();
  const auto want = run(one);
  const auto check = [&](auto& exec) {
    ring.generate([](index_t) { return 0.0f; });
    CHECK(same_bits(run(exec), want));
  };
  for_each_threading(check);
  // Threads may be as late as this.
  bulk_executor last_first(3, [](index_t n, auto& task) {
    while (n-- > 0) task(n);
  });
  check(last_first);
}

TEST_CASE("snapshots that do not fit or lie on other memory are refused, and nothing is written") {
  tensor<float, 4> x({2, 3, 4, 8}), y = x, S({2, 4, 8, 8});
  tensor<float, 5> ring({2, 3, 4, 8, 8});
  const wkv7_inputs<float> in{.r = x, .w = decay<float>::logit(x), .k = x, .v = x, .a = x, .b = x};
  const auto refused = [&](const char* text, const view<float, 5>& to, index_t first = 0) {
    const auto carried = state<float>{S.in(), S.out(), {to, first}};
    check_refused(text, validate_wkv7(dense{2, 3}, in, y.out(), carried), [&](auto& exec) {
      wkv7(exec, dense{2, 3}, in, y.out(), carried);
    });
    CHECK((x.untouched() && y.untouched() && S.untouched() && ring.untouched()));
  };
  const auto all = ring.out();
  CHECK_FALSE(validate_wkv7(dense{2, 3}, in, y.out(), {S.in(), S.out(), {all, 2}}));
  refused("rwkv7::wkv7: state.every axis H: got 3, want 4", resized(all, 2, 3));
  refused("rwkv7::wkv7: state.every axis N: got 7, want 8", resized(all, 4, 7));
  refused("rwkv7::wkv7: state slots: got 1, want at least B = 2", resized(all, 0, 1));
  refused("rwkv7::wkv7: state.every: got first 3, want 0 or more and less than R = 3", all, 3);
  refused("rwkv7::wkv7: state.every: got first -1, want 0 or more and less than R = 3", all, -1);
  refused("rwkv7::wkv7: state.every: got first 0, want 0 or more and less than R = 0", resized(all, 1, 0));
  refused("rwkv7::wkv7: state.every axis 1: stride 0 cannot be written (a broadcast tensor is read only)",
          {all.data(), all.extents(), {256, 0, 64, 8, 1}});
  refused("rwkv7::wkv7: state.every overlaps state", {S.out().data(), {2, 1, 4, 8, 8}});
  refused("rwkv7::wkv7: state.every overlaps r", {x.out().data(), {2, 1, 4, 8, 8}, {8, 8, 8, 1, 8}});
  refused("rwkv7::wkv7: state.every overlaps y", {y.out().data(), {2, 1, 4, 8, 8}, {8, 8, 8, 1, 8}});

  // Two sequences of one slot may read it, but not both leave snapshots there.
  const std::vector<std::int32_t> cu{0, 1, 3}, slots{1, 1};
  const auto row = [&](const auto& v) { return slice(v, 0, 0, 1); };
  const view<const float, 4> one = row(x.in());
  const wkv7_inputs<float> one_row{.r = one, .w = decay<float>::logit(one), .k = one, .v = one, .a = one, .b = one};
  const state<float> only_read{S.in(), {}, {}}, snapshots_alone{S.in(), {}, {all}};
  CHECK_FALSE(validate_wkv7(packed{cu, slots}, one_row, row(y.out()), only_read));
  check_refused("rwkv7::wkv7: state_indices[1]: got 1 again, want distinct slots",
                validate_wkv7(packed{cu, slots}, one_row, row(y.out()), snapshots_alone), [&](auto& exec) {
                  wkv7(exec, packed{cu, slots}, one_row, row(y.out()), snapshots_alone);
                });

  tensor<float, 3> u({2, 3, 4}), z = u, shifts({2, 3, 4});
  tensor<float, 1> mix({4});
  tensor<float, 2> last({2, 4});
  const token_shift_inputs<float, 1> shift_in{.x = u, .mix = {mix.in()}};
  const auto shift_refused = [&](const char* text, const view<float, 3>& to, index_t first = 0) {
    const auto carried = shift_state<float>{last.in(), last.out(), {to, first}};
    check_refused(text, validate_token_shift(dense{2, 3}, shift_in, {.y = {z.out()}}, carried), [&](auto& exec) {
      token_shift(exec, dense{2, 3}, shift_in, {.y = {z.out()}}, carried);
    });
    CHECK((u.untouched() && z.untouched() && last.untouched() && shifts.untouched()));
  };
  shift_refused("rwkv7::token_shift: state.every axis C: got 3, want 4", resized(shifts.out(), 2, 3));
  shift_refused("rwkv7::token_shift: state.every axis C: got stride 2, want 1", every_second(shifts.out()));
  shift_refused("rwkv7::token_shift: state.every: got first 3, want 0 or more and less than R = 3", shifts.out(), 3);
  shift_refused("rwkv7::token_shift: state.every overlaps state", {last.out().data(), {2, 1, 4}});
  shift_refused("rwkv7::token_shift: state.every overlaps x", u.out());
  shift_refused("rwkv7::token_shift: y overlaps state.every", z.out());
}
