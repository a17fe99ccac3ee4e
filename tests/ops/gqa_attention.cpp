// SPDX-License-Identifier: MIT
#include "rwkv7/ops/gqa_attention.hpp"

#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

// Of a problem, `out` - 1 is how many more keys than queries there are, and `rank` - 1 the window.
index_t keys_of(const problem& p) { return p.T + p.out - 1; }
index_t window_of(const problem& p) { return p.rank - 1; }
double scale_of(const problem& p) { return 1.5 / std::sqrt(static_cast<double>(p.N)); }

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 4> q({p.B, p.T, p.H, p.N}, p.how), k({p.B, keys_of(p), p.H_kv, p.N}, p.how), v = k, y = q;
  p.fill(q, "q");
  p.fill(k, "k");
  p.fill(v, "v");
  auto& to = p.in_place ? q : y;
  for (const auto& at : pieces(p)) {
    const index_t S = at.t + at.tokens + p.out - 1;  // and no later keys
    const auto seen = [&](const tensor<T, 4>& x) { return slice(slice(x.in(), 0, at.b, at.batch), 1, 0, S); };
    gqa_attention(exec, dense{at.batch, at.tokens}, dense{at.batch, S},
                  gqa_attention_inputs<T>{
                      .q = at.in(q), .k = seen(k), .v = seen(v), .scale = scale_of(p), .window = window_of(p)},
                  at.out(to));
  }
  return collect<T>(to);
};

/// All weights first, then their sum, with heads repeated and a mask.
outputs<double> formula(const problem& p) {
  const index_t S = keys_of(p), group = p.H / p.H_kv;
  const auto q = pattern("q", p.B * p.T * p.H * p.N, 0, unit_scale);
  const auto k = pattern("k", p.B * S * p.H_kv * p.N, 0, unit_scale),
             v = pattern("v", p.B * S * p.H_kv * p.N, 0, unit_scale);
  std::vector<double> y;
  for (index_t row = 0; row < p.B * p.T * p.H; ++row) {
    const index_t b = row / p.H / p.T, t = row / p.H % p.T, h = row % p.H;
    const auto at = [&](index_t s) { return static_cast<std::size_t>(((b * S + s) * p.H_kv + h / group) * p.N); };
    std::vector<long double> weight(static_cast<std::size_t>(S));
    long double all = 0;
    for (index_t s = 0; s < S; ++s) {
      const index_t age = t + p.out - 1 - s;  // 0 for the query's own token
      if (age < 0 || (window_of(p) > 0 && age >= window_of(p))) continue;
      long double dot = 0;
      for (index_t n = 0; n < p.N; ++n)
        dot += static_cast<long double>(q[static_cast<std::size_t>(row * p.N + n)]) *
               k[at(s) + static_cast<std::size_t>(n)];
      all += weight[static_cast<std::size_t>(s)] = std::exp(dot * scale_of(p));
    }
    for (index_t n = 0; n < p.N; ++n) {
      long double sum = 0;
      for (index_t s = 0; s < S; ++s)
        sum += weight[static_cast<std::size_t>(s)] / all * v[at(s) + static_cast<std::size_t>(n)];
      y.push_back(static_cast<double>(sum));
    }
  }
  return {y};
}

/// More keys than queries, windows, groups of all sizes that are computed differently, several blocks of keys.
std::vector<problem> all_problems() {
  auto all = problems_with_heads();
  for (const index_t H : {1, 2, 3, 4, 5, 6, 7, 8, 15, 25, 50}) all.push_back({.T = 3, .H = H, .N = 19, .out = 70});
  for (const index_t T : {1, 3, 30, 70})
    for (const index_t window : {0, 1, 2, 63, 64, 65, 100})
      all.push_back({.T = T, .H = 4, .H_kv = 2, .N = 20, .out = 140, .rank = 1 + window});
  all.push_back({.T = 5, .H = 2, .H_kv = 2, .N = 96, .out = 128, .how = layout::padded});
  all.push_back({.T = 5, .H = 2, .N = 256, .out = 60, .how = layout::reversed});
  return all;
}

double allowed(const problem& p) { return budget::reduction(p.N + keys_of(p)); }

/// Some sequences, token by token or in larger chunks, through rings. Slots in another order than sequences.
struct cached {
  std::vector<index_t> lengths = {150, 1, 0, 97, 64};
  index_t slots = 7, H = 4, H_kv = 2, N = 20, window = 0, capacity = 150;
  std::vector<std::int64_t> slot = {3, 0, 5, 6, 1};

  index_t tokens() const {
    index_t all = 0;
    for (const index_t length : lengths) all += length;
    return all;
  }
  problem values() const { return {.B = 1, .T = tokens(), .H = H, .H_kv = H_kv, .N = N}; }
};

template <class T>
struct rings {
  tensor<T, 4> k, v;
  std::vector<std::int64_t> position;

  explicit rings(const cached& c)
      : k({c.slots, c.H_kv, c.capacity, c.N}), v(k), position(static_cast<std::size_t>(c.slots)) {}
  kv_cache<T> cache() {
    return {k.out(), v.out(), view<const std::int64_t, 1>(position.data(), {static_cast<index_t>(position.size())})};
  }
  void advance(const sequences& seq) {
    advance_positions(seq, view<std::int64_t, 1>(position.data(), {static_cast<index_t>(position.size())}));
  }
};

/// `tokens` of each sequence from its token `from` on, or as many as there are; y lies as if all came at once.
template <class T, class Exec>
void run_chunk(Exec& exec, const cached& c, index_t from, index_t tokens, rings<T>& r, tensor<T, 4>& y) {
  const problem p = c.values();
  tensor<T, 4> q({1, p.T, c.H, c.N}), k({1, p.T, c.H_kv, c.N}), v = k;
  p.fill(q, "q");
  p.fill(k, "k");
  p.fill(v, "v");
  std::vector<std::int32_t> cu = {0};
  std::vector<index_t> row;  // of each token of the call
  index_t first = 0;
  for (const index_t length : c.lengths) {
    for (index_t t = from; t < std::min(from + tokens, length); ++t) row.push_back(first + t);
    cu.push_back(static_cast<std::int32_t>(row.size()));
    first += length;
  }
  const auto n = static_cast<index_t>(row.size());
  const auto gathered = [&](const tensor<T, 4>& x, index_t heads) {
    tensor<T, 4> some({1, n, heads, c.N});
    some.generate([&](index_t i) {
      return x[row[static_cast<std::size_t>(i / (heads * c.N))] * heads * c.N + i % (heads * c.N)];
    });
    return some;
  };
  const auto some_q = gathered(q, c.H), some_k = gathered(k, c.H_kv), some_v = gathered(v, c.H_kv);
  tensor<T, 4> some_y({1, n, c.H, c.N});
  const sequences seq = packed{cu, c.slot};
  gqa_attention(
      exec, seq,
      gqa_attention_inputs<T>{.q = some_q, .k = some_k, .v = some_v, .scale = scale_of(p), .window = c.window},
      some_y.out(), r.cache());
  r.advance(seq);
  for (index_t i = 0; i < some_y.size(); ++i)
    y[row[static_cast<std::size_t>(i / (c.H * c.N))] * c.H * c.N + i % (c.H * c.N)] = some_y[i];
}

template <class T, class Exec>
outputs<compute_type<T>> run_cached(Exec& exec, const cached& c, index_t tokens_per_call) {
  rings<T> r(c);
  tensor<T, 4> y({1, c.tokens(), c.H, c.N});
  for (index_t t = 0; t < 150; t += tokens_per_call) run_chunk(exec, c, t, tokens_per_call, r, y);
  CHECK((r.k.surroundings_untouched() && r.v.surroundings_untouched()));
  // A ring has its last keys where they belong, and has not been touched where none came.
  const auto keys = pattern("k", c.tokens() * c.H_kv * c.N, 0, unit_scale);
  index_t first = 0, right = 0, known = 0;
  for (std::size_t i = 0; i < c.lengths.size(); first += c.lengths[i++])
    for (index_t t = std::max(index_t{0}, c.lengths[i] - c.capacity); t < c.lengths[i]; ++t)
      for (index_t g = 0; g < c.H_kv; ++g, ++known)
        right += bits_of(r.cache().k(c.slot[i], g, t % c.capacity, 0)) ==
                 bits_of(element<T>(keys[static_cast<std::size_t>(((first + t) * c.H_kv + g) * c.N)]));
  CHECK(right == known);
  CHECK(bits_of(r.cache().k(2, 0, 0, 0)) == bits_of(poison<T>()));
  return collect<T>(y);
}

/// The same without a cache, all keys given.
template <class T, class Exec>
outputs<compute_type<T>> run_given(Exec& exec, const cached& c) {
  const problem p = c.values();
  tensor<T, 4> q({1, p.T, c.H, c.N}), k({1, p.T, c.H_kv, c.N}), v = k, y = q;
  p.fill(q, "q");
  p.fill(k, "k");
  p.fill(v, "v");
  std::vector<std::int64_t> cu = {0};
  for (const index_t length : c.lengths) cu.push_back(cu.back() + length);
  const sequences seq = packed{cu};
  gqa_attention(exec, seq, seq,
                gqa_attention_inputs<T>{.q = q, .k = k, .v = v, .scale = scale_of(p), .window = c.window}, y.out());
  return collect<T>(y);
}

}  // namespace

TEST_CASE("gqa_attention is the softmax of the products of a query with the keys up to its own") {
  check_definition(all_problems(), run, formula);
  check_rounded_once(all_problems(), run);
}

TEST_CASE("gqa_attention on a cpu is within the budget of sums over keys and channels, and gives decode's bits") {
  check_cpu(all_problems(), run, by_relative_l2, allowed);
}

TEST_CASE("gqa_attention may write onto q") { check_in_place(all_problems(), run); }

TEST_CASE("gqa_attention does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129, .out = 90}, run);
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 8, .N = 64, .out = 90, .rank = 1 + 70}, run);
}

TEST_CASE("gqa_attention in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(all_problems(), {.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 65, .out = 90}, run);
}

TEST_CASE("gqa_attention on rings gives the bits of one call on all keys, wherever calls are cut") {
  reference_executor reference;
  for (const index_t window : {0, 1, 40, 64, 100})
    for (const index_t more : {0, 1, 29}) {
      cached c{.window = window};
      c.capacity = window > 0 ? window + more : 150 + more;
      INFO("window ", window, ", capacity ", c.capacity);
      const auto exact = run_given<double>(reference, c);
      for (const index_t tokens : {1, 7, 64, 150}) {
        INFO("tokens per call: ", tokens);
        CHECK(same_bits(run_cached<double>(reference, c, tokens), exact));
        for_each_arch([&](auto& exec) {
          const auto given = run_given<float>(exec, c);
          CHECK(relative_l2(given[0], exact[0]) <= budget::reduction(c.N + 150));
          CHECK(same_bits(run_cached<float>(exec, c, tokens), given));
        });
      }
    }
}

TEST_CASE("gqa_attention on rings that hold the window and no more sees what has not been evicted, and only that") {
  cached c{.capacity = 33};  // a window of 0 is the capacity
  auto given = c;
  given.window = 33;
  for_each_executor([&](auto& exec, auto zero) {
    using T = decltype(zero);
    CHECK(same_bits(run_cached<T>(exec, c, 1), run_given<T>(exec, given)));
    CHECK(same_bits(run_cached<T>(exec, c, 100), run_given<T>(exec, given)));  // three times as long as the ring
    CHECK_FALSE(same_bits(run_cached<T>(exec, c, 1), run_given<T>(exec, c)));
  });
}

TEST_CASE_TEMPLATE("gqa_attention on rings in other types gives the bits of one call", T, double, bf16, f16) {
  const cached c{.window = 40, .capacity = 43};
  for_each_arch([&](auto& exec) {
    const auto given = run_given<T>(exec, c);
    CHECK(same_bits(run_cached<T>(exec, c, 1), given));
    CHECK(same_bits(run_cached<T>(exec, c, 64), given));
  });
}

TEST_CASE("gqa_attention on rings does not depend on threads") {
  const cached c{.lengths = {150, 150, 150, 150, 140}, .H = 8, .H_kv = 8, .N = 64, .window = 100, .capacity = 101};
  auto exec = one_thread();
  const auto once = run_cached<float>(exec, c, 50);
  for_each_threading([&](auto& threads) { CHECK(same_bits(once, run_cached<float>(threads, c, 50))); });
}

TEST_CASE("rings are saved, restored and branched by copies, and rolled back by the position alone") {
  const cached c{.window = 60, .capacity = 60 + 9};
  inline_executor exec;
  const auto want = run_given<float>(exec, c);
  tensor<float, 4> y({1, c.tokens(), c.H, c.N}), other = y;
  rings<float> r(c);
  run_chunk(exec, c, 0, 100, r, y);
  rings<float> branch = r;
  run_chunk(exec, c, 100, 10, r, other);                                               // drafted tokens
  for (auto& position : r.position) position = std::min<std::int64_t>(position, 100);  // all rejected
  run_chunk(exec, c, 100, 50, r, y);
  CHECK(same_bits(collect<float>(y), want));
  run_chunk(exec, c, 100, 50, branch, y);
  CHECK(same_bits(collect<float>(y), want));
}

TEST_CASE("gqa_attention takes queries and keys of packed sequences with lengths of their own") {
  const std::vector<std::int32_t> cu = {0, 0, 3, 4, 4}, cu_keys = {0, 5, 75, 76, 76};
  for_each_executor([&](auto& exec, auto zero) {
    using T = decltype(zero);
    tensor<T, 4> q({1, 4, 4, 9}), k({1, 76, 2, 9}), v = k, y = q, alone = q;
    fill(q, "q");
    fill(k, "k");
    fill(v, "v");
    const auto in = [&](index_t t, index_t tokens, index_t s, index_t keys) {
      return gqa_attention_inputs<T>{.q = slice(q.in(), 1, t, tokens),
                                     .k = slice(k.in(), 1, s, keys),
                                     .v = slice(v.in(), 1, s, keys),
                                     .scale = 0.4};
    };
    gqa_attention(exec, packed{cu}, packed{cu_keys}, in(0, 4, 0, 76), y.out());
    gqa_attention(exec, dense{1, 3}, dense{1, 70}, in(0, 3, 5, 70), slice(alone.out(), 1, 0, 3));
    gqa_attention(exec, dense{1, 1}, dense{1, 1}, in(3, 1, 75, 1), slice(alone.out(), 1, 3, 1));
    CHECK(same_bits(y.values(), alone.values()));
    // Two sequences that read the same prompt.
    const std::vector<std::int32_t> two = {0, 1, 2};
    gqa_attention(
        exec, packed{two}, dense{2, 76},
        gqa_attention_inputs<T>{
            .q = slice(q.in(), 1, 0, 2), .k = broadcast(k.in()[0], 2), .v = broadcast(v.in()[0], 2), .scale = 0.4},
        slice(y.out(), 1, 0, 2));
    for (const index_t t : {0, 1})
      gqa_attention(exec, dense{1, 1}, dense{1, 76}, in(t, 1, 0, 76), slice(alone.out(), 1, t, 1));
    CHECK(same_bits(y.values(), alone.values()));
  });
}

TEST_CASE("gqa_attention of large scores is the value of the largest, and later keys never count, NaN included") {
  for_each_executor([&](auto& exec, auto zero) {
    using T = decltype(zero);
    constexpr T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
    const index_t T_ = 70;
    tensor<T, 4> q({1, T_, 1, 1}), k = q, v = q, y = q;
    const auto attend = [&] {
      gqa_attention(exec, dense{1, T_}, dense{1, T_}, gqa_attention_inputs<T>{.q = q, .k = k, .v = v, .scale = 1000},
                    y.out());
    };
    q.generate([](index_t) { return T(2); });
    k.generate([](index_t i) { return T(i % 67); });
    v.generate([](index_t i) { return T(i); });
    attend();
    for (index_t t = 0; t < T_; ++t) CHECK(y[t] == T(std::min<index_t>(t, 66)));
    k[68] = nan;
    v[69] = nan;
    attend();
    for (index_t t = 0; t < 68; ++t) CHECK(y[t] == T(std::min<index_t>(t, 66)));
    CHECK((std::isnan(y[68]) && std::isnan(y[69])));
    k.generate([&](index_t i) { return i < 65 ? -infinity : T(0); });
    v.generate([](index_t i) { return T(i); });
    attend();
    CHECK((std::isnan(y[64]) && y[65] == 65 && y[66] == T(65.5)));
  });
}

TEST_CASE("gqa_attention names the operand that is wrong and writes nothing") {
  tensor<float, 4> q({2, 3, 4, 8}), k({2, 5, 2, 8}), v = k, y = q;
  const gqa_attention_inputs<float> in{.q = q, .k = k, .v = v, .scale = 1};
  const auto refuses = [&](const char* text, auto change, const sequences& seq = dense{2, 3},
                           const sequences& keys = dense{2, 5}) {
    auto in_ = in;
    auto y_ = y.out();
    change(in_, y_);
    check_refused(text, validate_gqa_attention(seq, keys, in_, y_),
                  [&](auto& exec) { gqa_attention(exec, seq, keys, in_, y_); });
    CHECK((q.untouched() && k.untouched() && v.untouched() && y.untouched()));
  };
  const auto nothing = [](auto&, auto&) {};
  const std::vector<std::int32_t> falls = {0, 2, 1}, short_keys = {0, 2, 5}, three = {0, 3, 3, 6}, queries = {0, 3, 6};
  refuses("rwkv7::gqa_attention: k heads: got 3, want a divisor of H = 4", [&](auto& i, auto&) {
    i.k = i.v = view<const float, 4>(k.in().data(), {2, 5, 3, 8});
  });
  refuses("rwkv7::gqa_attention: q axis T: got 3, want 2", nothing, dense{2, 2});
  refuses("rwkv7::gqa_attention: k axis S: got 5, want 6", nothing, dense{2, 3}, dense{2, 6});
  refuses("rwkv7::gqa_attention: v axis N: got 7, want 8", [](auto& i, auto&) { i.v = resized(i.v, 3, 7); });
  refuses("rwkv7::gqa_attention: y axis H: got 2, want 4", [](auto&, auto& o) { o = resized(o, 2, 2); });
  refuses("rwkv7::gqa_attention: keys of a sequence: got 2, want at least its queries", nothing, packed{queries},
          packed{short_keys});
  refuses("rwkv7::gqa_attention: sequences of keys: got 3, want as many as of queries", nothing, packed{queries},
          packed{three});
  refuses("rwkv7::gqa_attention: cu_seqlens[2]: got 1, want at least the 2 before it", nothing, dense{2, 3},
          packed{falls});
  refuses("rwkv7::gqa_attention: T: got -1, want 0 or more", nothing, dense{2, -1});
  refuses("rwkv7::gqa_attention: window: got -1, want 0 or more", [](auto& i, auto&) { i.window = -1; });
  refuses(
      "rwkv7::gqa_attention: head size N: got 257, want at most 256 (define RWKV7_MAX_HEAD_SIZE to compile in more)",
      [](auto& i, auto&) { i.q = resized(i.q, 3, 257); });
  refuses("rwkv7::gqa_attention: q: not given", [&](auto& i, auto&) { i.q = absent(q); });
  refuses("rwkv7::gqa_attention: k: not given", [&](auto& i, auto&) { i.k = absent(k); });
  refuses("rwkv7::gqa_attention: v: not given", [](auto& i, auto&) { i.v = {}; });
  refuses("rwkv7::gqa_attention: y: not given", [](auto&, auto& o) { o = {}; });
  refuses("rwkv7::gqa_attention: k axis N: got stride 2, want 1", [](auto& i, auto&) { i.k = every_second(i.k); });
  refuses("rwkv7::gqa_attention: y overlaps q", [](auto& i, auto& o) { i.q = reversed(view<const float, 4>(o), 1); });
  refuses("rwkv7::gqa_attention: y overlaps k", [](auto& i, auto& o) {
    i.k = view<const float, 4>(o.data(), {2, 5, 2, 8});
  });
  refuses("rwkv7::gqa_attention: y axis 2: stride 0 cannot be written (a broadcast tensor is read only)",
          [](auto&, auto& o) {
            o = view<float, 4>(o.data(), {2, 3, 4, 8}, {24, 8, 0, 1});
          });
}

TEST_CASE("gqa_attention names what is wrong with a cache and writes nothing") {
  tensor<float, 4> q({2, 3, 4, 8}), k({2, 3, 2, 8}), v = k, y = q, ring_k({3, 2, 6, 8}), ring_v = ring_k;
  const gqa_attention_inputs<float> in{.q = q, .k = k, .v = v, .scale = 1};
  std::vector<std::int64_t> positions = {0, 5, 7};
  const auto refuses = [&](const char* text, auto change, const sequences& seq = dense{2, 3}) {
    auto in_ = in;
    auto at = positions;
    kv_cache<float> cache{ring_k.out(), ring_v.out(), view<const std::int64_t, 1>(at.data(), {3})};
    change(in_, cache, at);
    check_refused(text, validate_gqa_attention(seq, in_, y.out(), cache),
                  [&](auto& exec) { gqa_attention(exec, seq, in_, y.out(), cache); });
    CHECK((q.untouched() && k.untouched() && v.untouched() && y.untouched()));
    CHECK((ring_k.untouched() && ring_v.untouched()));
  };
  const auto nothing = [](auto&, auto&, auto&) {};
  const std::vector<std::int32_t> cu = {0, 3, 6}, twice = {1, 1}, far = {1, 3};
  refuses("rwkv7::gqa_attention: state_indices[1]: got 1 again, want distinct slots", nothing, packed{cu, twice});
  refuses("rwkv7::gqa_attention: state_indices[1]: got 3, want 0 to 2", nothing, packed{cu, far});
  refuses("rwkv7::gqa_attention: state slots: got 1, want at least B = 2",
          [](auto&, auto& c, auto&) { c.position = resized(c.position, 0, 1); });
  refuses("rwkv7::gqa_attention: k axis S: got 2, want 3", [](auto& i, auto&, auto&) { i.k = resized(i.k, 1, 2); });
  refuses("rwkv7::gqa_attention: cache.k axis slots: got 2, want 3",
          [](auto&, auto& c, auto&) { c.k = resized(c.k, 0, 2); });
  refuses("rwkv7::gqa_attention: cache.k axis H_kv: got 1, want 2",
          [](auto&, auto& c, auto&) { c.k = resized(c.k, 1, 1); });
  refuses("rwkv7::gqa_attention: cache.v axis capacity: got 5, want 6",
          [](auto&, auto& c, auto&) { c.v = resized(c.v, 2, 5); });
  refuses("rwkv7::gqa_attention: cache.v axis N: got 7, want 8",
          [](auto&, auto& c, auto&) { c.v = resized(c.v, 3, 7); });
  refuses("rwkv7::gqa_attention: cache capacity: got 0, want 1 or more", [](auto&, auto& c, auto&) {
    c.k = resized(c.k, 2, 0);
    c.v = resized(c.v, 2, 0);
  });
  refuses("rwkv7::gqa_attention: window: got 7, want at most the capacity of the cache",
          [](auto& i, auto&, auto&) { i.window = 7; });
  refuses("rwkv7::gqa_attention: cache.position: got -1, want 0 or more and less than 2^60",
          [](auto&, auto&, auto& at) { at[1] = -1; });
  refuses("rwkv7::gqa_attention: cache.position: got 9223372036854775807, want 0 or more and less than 2^60",
          [](auto&, auto&, auto& at) { at[0] = std::numeric_limits<std::int64_t>::max(); });
  refuses("rwkv7::gqa_attention: cache.k: not given", [](auto&, auto& c, auto&) { c.k = {}; });
  refuses("rwkv7::gqa_attention: cache.v: not given", [&](auto&, auto& c, auto&) {
    c.v = view<float, 4>(nullptr, {3, 2, 6, 8});
  });
  refuses("rwkv7::gqa_attention: cache.v overlaps cache.k", [](auto&, auto& c, auto&) { c.v = c.k; });
  refuses("rwkv7::gqa_attention: cache.k overlaps y", [&](auto&, auto& c, auto&) {
    c.k = view<float, 4>(y.out().data(), {3, 2, 6, 8});
  });
  refuses("rwkv7::gqa_attention: cache.v overlaps v", [&](auto& i, auto&, auto&) {
    i.v = view<const float, 4>(ring_v.in().data(), {2, 3, 2, 8});
  });
}
