// SPDX-License-Identifier: MIT
#include "rwkv7/ops/resident_state.hpp"

#include <doctest/doctest.h>
#include <concepts>

#include "support/golden_recurrence.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// A resident state and its memory.
template <class T>
struct kept {
  std::vector<cache_line> memory;
  resident_state<T> state;

  template <class Exec>
  kept(Exec& exec, const state_extents& extents)
      : memory(resident_state_size<T>(exec, extents)), state(make_resident_state<T>(exec, extents, memory)) {}
  template <class Exec, std::same_as<recurrence> Problem>
  kept(Exec& exec, const Problem& p, const layout how = layout::dense) : kept(exec, {p.pool, p.H, p.N}) {
    tensor<T, 4> S({p.pool, p.H, p.N, p.N}, how);
    S.assign(std::vector<T>(p.S.begin(), p.S.end()));
    import_state(exec, S, state);
  }
  template <class Exec>
  std::vector<T> exported(Exec& exec, const layout how = layout::dense) const {
    const auto [slots, H, N] = state.extents();
    tensor<T, 4> S({slots, H, N, N}, how);
    export_state(exec, state, S.out());
    CHECK(S.surroundings_untouched());
    return S.values();
  }
};

/// Tokens [begin, end) of a dense problem, one call for each, or all of a packed one.
template <class Exec, class T>
void step(Exec& exec, const recurrence& p, const operands_in_memory<T>& x, tensor<T, 4>& y, const resident_state<T>& S,
          index_t begin, index_t end, index_t tokens = 1) {
  if (!p.cu.empty()) return wkv7(exec, packed{p.cu, p.slots}, x.all(), y.out(), S);
  for (index_t t = begin; t < end; t += tokens) {
    const piece at{0, p.B, t, tokens};
    wkv7(exec, dense{p.B, tokens}, x.seen([&](const auto& operand) { return at.in(operand); }), at.out(y), S);
  }
}

/// y and the pool of states, like run_wkv7, token by token or in calls of so many.
constexpr auto run_resident = [](auto& exec, const recurrence& p, auto zero, const way& how = {}, index_t tokens = 1) {
  using T = decltype(zero);
  const operands_in_memory<T> x(p, how);
  tensor<T, 4> y({p.B, p.T, p.H, p.N}, how.how);
  const kept<T> S(exec, p, how.state);
  step(exec, p, x, y, S.state, 0, p.T, tokens);
  CHECK(y.surroundings_untouched());
  return outputs<T>{y.values(), S.exported(exec, how.state)};
};

std::vector<recurrence> shapes() {
  std::vector<recurrence> all;
  for (const index_t N : {1, 3, 4, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 100, 127, 128, 129, 255, 256})
    all.push_back({.T = 9, .H = 1, .H_k = 1, .H_v = 1, .N = N});
  for (const index_t N : {16, 19, 64}) all.push_back({.B = 3, .T = 33, .N = N});
  for (const auto& [H_k, H_v] : {std::pair<index_t, index_t>{1, 4}, {2, 1}, {4, 2}})
    all.push_back({.B = 2, .T = 11, .H = 4, .H_k = H_k, .H_v = H_v, .N = 64});
  all.push_back({.B = 0});
  all.push_back({.T = 0});
  return all;
}

recurrence of_a_pool() {
  recurrence shape{.B = 1, .T = 5, .H = 4, .H_k = 2, .H_v = 1, .N = 20};
  shape.cu = {0, 1, 2, 2, 3, 4, 5};
  shape.slots = {4, 7, 3, 0, 8, 2};
  shape.pool = 9;
  return made_up(shape);
}

template <class T>
std::vector<T> slot_of(const std::vector<T>& pool, index_t slots, index_t slot) {
  const auto size = static_cast<std::ptrdiff_t>(pool.size()) / slots;
  return {pool.begin() + slot * size, pool.begin() + (slot + 1) * size};
}

}  // namespace

TEST_CASE("every cpu executor steps a resident state within the budget of a recurrence at any head size") {
  reference_executor reference;
  for (const auto& shape : shapes()) {
    const auto p = made_up(shape);
    INFO(p.text());
    const auto want = run_wkv7(reference, p, 0.0);
    for_each_cpu_executor(
        [&](auto& exec) { check_recurrence_close(run_resident(exec, p, 0.0f), want, budget::recurrence(p.T, p.N)); });
  }
}

TEST_CASE("a resident state gives the golden values: every form of decay, grouped heads, packed sequences") {
  for (const auto& c : golden_cases("wkv7")) {
    INFO(c.name);
    for_each_executor([&](auto& exec, auto zero) {
      check_recurrence_close(run_resident(exec, c.given, zero), c.wanted, budget::recurrence(c.given.T, c.given.N));
    });
  }
}

TEST_CASE("the reference executor's resident state is a state in place, to the bit") {
  reference_executor exec;
  for (const auto& p : {made_up({.B = 2, .T = 9, .N = 20}), of_a_pool()}) {
    const std::vector<index_t> one_by_one(static_cast<std::size_t>(p.cu.empty() ? p.T : 0), 1);
    CHECK(same_bits(run_resident(exec, p, 0.0), run_wkv7(exec, p, 0.0, {.cuts = one_by_one})));
    CHECK(same_bits(run_resident(exec, p, 0.0f), run_wkv7(exec, p, 0.0f, {.cuts = one_by_one})));
  }
}

TEST_CASE("a resident state over two thousand tokens stays within the budget of a recurrence") {
  auto p = made_up({.T = 2048, .H = 1, .H_k = 1, .H_v = 1, .N = 64});
  const auto check = [&] {
    reference_executor reference;
    const auto want = run_wkv7(reference, p, 0.0);
    for_each_arch([&](auto& exec) {
      const auto got = run_resident(exec, p, 0.0f);
      check_recurrence_close(got, want, budget::recurrence(p.T, p.N));
      check_recurrence_close(got, run_wkv7(exec, p, 0.0f), 2 * budget::recurrence(p.T, p.N));
    });
  };
  check();
  p.w = pattern("slow", 2048 * 64, -11, 3);
  check();
  for (auto& w : p.w) w = -9;  // the same at every token: an error of the factor would be the same, too, and add up
  check();
  for (auto& w : p.w) w = 9;  // the fastest decay there is: 2^-40 after 45 tokens
  check();
}

TEST_CASE("a resident state takes decays of any size: 0, too small for its scale, negative, more than 1") {
  reference_executor reference;
  auto p = made_up({.T = 200, .H = 1, .H_k = 1, .H_v = 1, .N = 64});
  p.form = decay_form::factor;
  const auto check = [&] {
    const auto want = run_wkv7(reference, p, 0.0);
    for_each_arch(
        [&](auto& exec) { check_recurrence_close(run_resident(exec, p, 0.0f), want, budget::recurrence(p.T, p.N)); });
  };
  const float often[] = {0.97f, 0.9f, 0.999f, 0.6f}, rare[] = {0, 1e-30f, 1e-9f, -0.5f, -1e-7f, 1.5f, 0.01f};
  for (std::size_t i = 0; i < p.w.size(); ++i) p.w[i] = i % 37 == 5 ? rare[i / 37 % 7] : often[i % 4];
  for (std::size_t j = 0; j < 64; ++j) p.w[5 * 64 + j] = 1e-3f;  // a whole token
  check();
  for (std::size_t i = 0; i < p.w.size(); ++i)  // out of scale now and then only, so that pending tokens meet it
    p.w[i] = i % 1999 == 70 ? rare[i / 1999 % 7] : often[i % 4];
  check();
  for (auto& w : p.w) w = 0.05f;
  check();
  for (auto& w : p.w) w = 0;
  check();
}

TEST_CASE("D1, D2: a resident state gives the same bits again, for any number of threads and shards") {
  auto alone = one_thread();
  for (const auto& p : {made_up({.B = 3, .T = 7, .H = 5, .H_k = 1, .H_v = 5, .N = 64}),
                        made_up({.B = 40, .T = 2, .H = 8, .H_k = 8, .H_v = 8, .N = 64}), of_a_pool()}) {
    const auto once = run_resident(alone, p, 0.0f);
    CHECK(same_bits(once, run_resident(alone, p, 0.0f)));
    for_each_threading([&](auto& threads) {
      CHECK(same_bits(once, run_resident(threads, p, 0.0f)));
      // Made for some threads and used by others.
      const operands_in_memory<float> x(p);
      const kept<float> of_many(threads, p), of_one(alone, p);
      tensor<float, 4> y({p.B, p.T, p.H, p.N});
      step(alone, p, x, y, of_many.state, 0, p.T);
      CHECK(same_bits(once, outputs<float>{y.values(), of_many.exported(alone)}));
      step(threads, p, x, y, of_one.state, 0, p.T);
      CHECK(same_bits(once, outputs<float>{y.values(), of_one.exported(threads)}));
    });
  }
}

TEST_CASE("D3: NaN and infinity in one sequence change no bit of its neighbours' resident states") {
  for (const float with : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto p = made_up({.B = 3, .T = 5, .N = 20});
    auto spoilt = p;
    for (auto* x : {&spoilt.r, &spoilt.w, &spoilt.k, &spoilt.v, &spoilt.a, &spoilt.b, &spoilt.S}) {
      const auto size = static_cast<std::ptrdiff_t>(x->size()) / 3;
      std::fill_n(x->begin() + size, size, with);
    }
    for_each_executor([&](auto& exec, auto zero) {
      const auto clean = run_resident(exec, p, zero), beside = run_resident(exec, spoilt, zero);
      for (const index_t b : {0, 2})
        for (const std::size_t output : {0u, 1u})
          CHECK(same_bits(slot_of(clean[output], 3, b), slot_of(beside[output], 3, b)));
    });
  }
}

TEST_CASE("D4: calls of any length leave the same bits in a resident state") {
  for (const index_t N : {20, 64}) {
    const auto p = made_up({.B = 2, .T = 60, .N = N});
    for_each_cpu_executor([&](auto& exec) {
      const auto one_by_one = run_resident(exec, p, 0.0f);
      for (const index_t tokens : {2, 12, 60}) CHECK(same_bits(one_by_one, run_resident(exec, p, 0.0f, {}, tokens)));
    });
  }
}

TEST_CASE("a resident state gives the same bits in every layout of operands and of what is imported and exported") {
  for (const index_t N : {19, 64}) {
    const auto p = made_up({.B = 2, .T = 3, .N = N});
    for_each_kind([&](auto& exec, auto zero) {
      const auto dense = run_resident(exec, p, zero);
      for (const layout how : layouts) {
        INFO(name_of(how));
        CHECK(same_bits(dense, run_resident(exec, p, zero, {.how = how})));
        CHECK(same_bits(dense, run_resident(exec, p, zero, {.state = how})));
      }
    });
  }
}

TEST_CASE("what is imported is exported, to the bit, also as [key, value]; a new state is zeros") {
  for (const index_t N : {1, 20, 64, 100}) {
    const auto p = made_up({.B = 3, .H = 5, .N = N});
    for_each_executor([&](auto& exec, auto zero) {
      using T = decltype(zero);
      const kept<T> S(exec, p);
      CHECK(max_abs(S.exported(exec), p.S) == 0);
      tensor<T, 4> turned({3, 5, N, N});
      export_state(exec, S.state, from_key_value(turned.out()));
      const kept<T> back(exec, {3, 5, N});
      CHECK(max_abs(back.exported(exec), std::vector<float>(p.S.size())) == 0);
      import_state(exec, from_key_value(turned.out()), back.state);
      CHECK(max_abs(back.exported(exec), p.S) == 0);
    });
  }
}

TEST_CASE("slots are imported and exported by number, and the others keep what they hold") {
  const auto p = made_up({.B = 4, .N = 20});
  for_each_kind([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const kept<T> S(exec, p);
    tensor<T, 4> two({2, 2, 20, 20});
    const std::vector<std::int32_t> from{2, 0}, to{1, 3};
    export_state(exec, S.state, two.out(), from);
    import_state(exec, two, S.state, to);
    auto pool = S.exported(exec);
    const index_t expected[] = {0, 2, 2, 0};
    for (const index_t slot : {0, 1, 2, 3})
      CHECK(max_abs(slot_of(pool, 4, slot), slot_of(p.S, 4, expected[slot])) == 0);
    import_state(exec, {}, S.state, std::vector<std::int64_t>{2});
    pool = S.exported(exec);
    for (const index_t slot : {0, 1, 3}) CHECK(max_abs(slot_of(pool, 4, slot), slot_of(p.S, 4, expected[slot])) == 0);
    CHECK(max_abs(slot_of(pool, 4, 2), std::vector<T>(2 * 20 * 20)) == 0);
  });
}

TEST_CASE("packed sequences step their slots in any order, and no other") {
  const auto p = of_a_pool();
  reference_executor reference;
  const auto want = run_wkv7(reference, p, 0.0);
  for_each_executor([&](auto& exec, auto zero) {
    const auto got = run_resident(exec, p, zero);
    check_recurrence_close(got, want, budget::recurrence(1, p.N));
    for (const index_t unused : {1, 3, 5, 6}) CHECK(max_abs(slot_of(got[1], 9, unused), slot_of(p.S, 9, unused)) == 0);
  });
}

TEST_CASE("to export changes nothing; to flush makes it the state that was exported and imported") {
  for (const index_t N : {20, 64}) {
    const auto p = made_up({.B = 2, .T = 24, .N = N});
    for_each_executor([&](auto& exec, auto zero) {
      using T = decltype(zero);
      const operands_in_memory<T> x(p);
      const auto undisturbed = run_resident(exec, p, zero);
      for (const index_t at : {1, 5, 23}) {
        tensor<T, 4> y({2, 24, 2, N}), y_other = y, y_flushed = y, between({2, 2, N, N});
        const kept<T> S(exec, p), flushed(exec, p), other(exec, {2, 2, N});
        step(exec, p, x, y, S.state, 0, at);
        export_state(exec, S.state, between.out());
        step(exec, p, x, y, S.state, at, 24);
        CHECK(same_bits(undisturbed, outputs<T>{y.values(), S.exported(exec)}));

        step(exec, p, x, y_flushed, flushed.state, 0, at);
        flush_state(exec, flushed.state);
        flush_state(exec, flushed.state);  // once more is as good
        CHECK(same_bits(between.values(), flushed.exported(exec)));
        step(exec, p, x, y_other, other.state, 0, at);
        import_state(exec, between, other.state);
        step(exec, p, x, y_flushed, flushed.state, at, 24);
        step(exec, p, x, y_other, other.state, at, 24);
        CHECK(same_bits(flushed.exported(exec), other.exported(exec)));
        const auto tail = [&](const tensor<T, 4>& all) { return piece{0, 2, at, 24 - at}.in(all); };
        for (index_t i = 0; i < 2 * (24 - at) * 2 * N; ++i) {
          const auto element = [&](const tensor<T, 4>& all) {
            return tail(all)(i / (2 * N) / (24 - at), i / (2 * N) % (24 - at), i / N % 2, i % N);
          };
          REQUIRE(element(y_flushed) == element(y_other));
        }
        check_recurrence_close(outputs<T>{y_flushed.values(), flushed.exported(exec)}, undisturbed, budget::split);
      }
    });
  }
}

TEST_CASE("to branch a resident state is to copy its memory") {
  const auto p = made_up({.B = 2, .T = 30, .N = 64});
  for_each_executor([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const operands_in_memory<T> x(p);
    tensor<T, 4> y({2, 30, 2, 64});
    const kept<T> prompt(exec, p);
    step(exec, p, x, y, prompt.state, 0, 10);
    auto copy = prompt.memory;
    const auto branch = prompt.state.at(copy);
    const auto go_on = [&](const resident_state<T>& S) {
      step(exec, p, x, y, S, 10, 20);
      tensor<T, 4> out({2, 2, 64, 64});
      export_state(exec, S, out.out());
      return outputs<T>{y.values(), out.values()};
    };
    step(exec, p, x, y, branch, 20, 30);  // what it hears, nobody else does
    const auto first = go_on(prompt.state);
    const kept<T> again(exec, p);
    step(exec, p, x, y, again.state, 0, 10);
    copy = again.memory;
    CHECK(same_bits(first, go_on(branch)));
    CHECK(same_bits(first, go_on(again.state)));
  });
}

#if defined(__SSE2__)
TEST_CASE("one instruction set goes on with the resident state of another") {
  const auto p = made_up({.B = 2, .T = 40, .N = 100});
  reference_executor reference;
  const auto want = run_wkv7(reference, p, 0.0);
  basic_inline_executor<xsimd::sse2> narrow;
  for_each_arch([&](auto& exec) {
    const operands_in_memory<float> x(p);
    tensor<float, 4> y({2, 40, 2, 100});
    const kept<float> S(narrow, p);
    for (const index_t t : {0, 10, 20, 30}) {
      step(exec, p, x, y, S.state, t, t + 5);
      step(narrow, p, x, y, S.state, t + 5, t + 10);
    }
    check_recurrence_close(outputs<float>{y.values(), S.exported(exec)}, want, budget::recurrence(40, 100));
  });
}
#endif

TEST_CASE("the parts of a resident state that threads step lie 16 KiB apart") {
  spin_executor threads(3);
  const auto one = resident_state_size<float>(inline_executor{}, {2, 6, 64}),
             three = resident_state_size<float>(threads, {2, 6, 64});
  CHECK(one == 2 * 6 * (64 + 6) * 64 / 16);
  CHECK(three == one + 2 * 256);
  CHECK(resident_state_size<float>(threads, {2, 1, 64}) == one / 6);
}

TEST_CASE("resident states are refused extents and memory that do not fit") {
  auto exec = one_thread();
  std::vector<cache_line> memory(resident_state_size<float>(exec, {2, 4, 8}));
  const auto refused = [&](const std::string& text, const state_extents& e, std::span<cache_line> some) {
    CHECK(text == complaint_of([&] { make_resident_state<float>(exec, e, some); }));
  };
  refused("rwkv7::resident_state: slots: got -1, want 0 or more", {-1, 4, 8}, memory);
  refused("rwkv7::resident_state: H: got -4, want 0 or more", {2, -4, 8}, memory);
  refused("rwkv7::resident_state: N: got -8, want 0 or more", {2, 4, -8}, memory);
  const auto most = std::to_string(max_head_size), got = std::to_string(max_head_size + 1);
  refused("rwkv7::resident_state: head size N: got " + got + ", want at most " + most +
              " (define RWKV7_MAX_HEAD_SIZE to compile in more)",
          {2, 4, max_head_size + 1}, memory);
  refused("rwkv7::resident_state: slots: got 4611686018427387904, want fewer, for so many heads",
          {index_t{1} << 62, 4, 8}, memory);
  refused("rwkv7::resident_state: memory: got 111 cache lines, want 112", {2, 4, 8}, std::span(memory).first(111));
  auto* const middle = reinterpret_cast<cache_line*>(reinterpret_cast<std::byte*>(memory.data()) + 4);
  CHECK(complaint_of([&] {
          make_resident_state<float>(exec, {1, 1, 8}, {middle, 14});
        }).ends_with(", want a multiple of 64"));
  const auto state = make_resident_state<float>(exec, {2, 4, 8}, memory);
  CHECK(complaint_of([&] { state.at(std::span(memory).first(3)); }) ==
        "rwkv7::resident_state: memory: got 3 cache lines, want 112");
}

TEST_CASE("calls on resident states are refused what does not fit, and write nothing") {
  auto exec = one_thread();
  reference_executor reference;
  const kept<float> S(exec, {2, 4, 8}), on_reference(reference, {2, 4, 8});
  const auto before = S.exported(exec);
  tensor<float, 4> r({2, 3, 4, 8}), y = r, other({2, 3, 2, 8}), y_other = other, pool({2, 4, 8, 8});
  const auto inputs = [](const tensor<float, 4>& x) {
    return wkv7_inputs<float>{.r = x, .w = decay<float>::logit(x), .k = x, .v = x, .a = x, .b = x};
  };
  const auto step_refused = [&](const std::string& text, auto& on, const sequences& seq, const auto& in, auto out,
                                const resident_state<float>& state) {
    CHECK(text == validate_wkv7(on, seq, in, out, state).message());
    CHECK(text == complaint_of([&] { wkv7(on, seq, in, out, state); }));
  };
  const auto in = inputs(r);
  step_refused("rwkv7::wkv7: state: not given", exec, dense{2, 3}, in, y.out(), {});
  step_refused("rwkv7::wkv7: state: got one made for the back end 'cpu', want 'reference'", reference, dense{2, 3}, in,
               y.out(), S.state);
  step_refused("rwkv7::wkv7: state: got one made for the back end 'reference', want 'cpu'", exec, dense{2, 3}, in,
               y.out(), on_reference.state);
  step_refused("rwkv7::wkv7: r axis H: got 2, want 4", exec, dense{2, 3}, inputs(other), y_other.out(), S.state);
  step_refused("rwkv7::wkv7: y axis T: got 3, want 2", exec, dense{2, 2},
               wkv7_inputs<float>{.r = resized(r.in(), 1, 2),
                                  .w = decay<float>::logit(resized(r.in(), 1, 2)),
                                  .k = resized(r.in(), 1, 2),
                                  .v = resized(r.in(), 1, 2),
                                  .a = resized(r.in(), 1, 2),
                                  .b = resized(r.in(), 1, 2)},
               y.out(), S.state);
  tensor<float, 4> three({3, 1, 4, 8}), y_three = three;
  step_refused("rwkv7::wkv7: state slots: got 2, want at least B = 3", exec, dense{3, 1}, inputs(three), y_three.out(),
               S.state);
  tensor<float, 4> line({1, 2, 4, 8}), y_line = line;
  const std::vector<std::int32_t> cu{0, 1, 2}, twice{1, 1}, beyond{0, 2};
  step_refused("rwkv7::wkv7: state_indices[1]: got 1 again, want distinct slots", exec, packed{cu, twice}, inputs(line),
               y_line.out(), S.state);
  step_refused("rwkv7::wkv7: state_indices[1]: got 2, want 0 to 1", exec, packed{cu, beyond}, inputs(line),
               y_line.out(), S.state);
  const view<float, 4> inside(S.state.data() + 16, {2, 3, 4, 8});
  step_refused("rwkv7::wkv7: y overlaps state", exec, dense{2, 3}, in, inside, S.state);
  auto spoilt = in;
  spoilt.b = inside;
  step_refused("rwkv7::wkv7: state overlaps b", exec, dense{2, 3}, spoilt, y.out(), S.state);

  const auto refused = [&](const std::string& text, auto call) { CHECK(text == complaint_of(call)); };
  const std::vector<std::int32_t> one{1}, negative{-1};
  refused("rwkv7::import_state: from axis slots: got 2, want 1", [&] { import_state(exec, pool, S.state, one); });
  refused("rwkv7::import_state: slot: got -1, want 0 or more and less than those of the state",
          [&] { import_state(exec, slice(pool.in(), 0, 0, 1), S.state, negative); });
  refused("rwkv7::import_state: slot: got 2, want 0 or more and less than those of the state",
          [&] { import_state(exec, {}, S.state, std::vector<std::int64_t>{2}); });
  refused("rwkv7::import_state: from axis N: got 7, want 8",
          [&] { import_state(exec, resized(pool.in(), 3, 7), S.state); });
  refused("rwkv7::import_state: state overlaps from", [&] {
    import_state(exec, view<float, 4>(S.state.data(), {2, 4, 8, 8}), S.state);
  });
  refused("rwkv7::import_state: state: not given", [&] { import_state(exec, pool, resident_state<float>()); });
  refused("rwkv7::export_state: to: not given", [&] { export_state(exec, S.state, {}); });
  refused("rwkv7::export_state: to axis H: got 3, want 4",
          [&] { export_state(exec, S.state, resized(pool.out(), 1, 3)); });
  refused("rwkv7::export_state: to overlaps state", [&] {
    export_state(exec, S.state, view<float, 4>(S.state.data(), {2, 4, 8, 8}));
  });
  refused("rwkv7::export_state: state: got one made for the back end 'cpu', want 'reference'",
          [&] { export_state(reference, S.state, pool.out()); });
  refused("rwkv7::flush_state: state: got one made for the back end 'cpu', want 'reference'",
          [&] { flush_state(reference, S.state); });
  for (const auto* x : {&r, &y, &other, &y_other, &pool, &y_three, &y_line}) CHECK(x->untouched());
  CHECK(same_bits(before, S.exported(exec)));
}
