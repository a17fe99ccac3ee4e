// SPDX-License-Identifier: MIT
#include "rwkv7/ops/token_shift.hpp"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

enum class carry { nothing, initial_only, final_only, other_memory, in_place };

/// A call with three mixing vectors, dense or packed.
struct shift_problem : problem {
  carry carried = carry::in_place;
  std::vector<std::int32_t> cu{}, slots{};  // empty: dense
  index_t pool = 0;                         // of slots

  shift_problem(const problem& p, carry c = carry::in_place) : problem(p), carried(c), pool(p.B) {}
  bool reads() const { return carried != carry::nothing && carried != carry::final_only; }
  bool writes() const { return carried != carry::nothing && carried != carry::initial_only; }
};

std::array<parameter<1>, 3> mixes(const problem& p) {
  const auto one = [&](const char* name) { return parameter<1>({p.N}, p.type, name, 0.5f, 0.8f); };
  return {one("mix 0"), one("mix 1"), one("mix 2")};
}

/// Outputs the three y and the pool of states.
constexpr auto run = [](auto& exec, const shift_problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.N}, p.how), y0 = x, y1 = x, y2 = x;
  using carried_type = compute_type<T>;
  tensor<carried_type, 2> S({p.pool, p.N}, p.how), other = S;
  p.fill(x, "x");
  fill(S, "S");
  p.round(S);
  other = S;
  const auto mix = mixes(p);
  for (const auto& at : pieces(p)) {
    const bool packs = !p.cu.empty();
    const auto own = [&](const auto& s) { return packs ? s : slice(s, 0, at.b, at.batch); };
    shift_state<carried_type> state;
    if (p.reads()) state.initial = own(S.in());
    if (p.writes()) state.final = own(p.carried == carry::in_place ? S.out() : other.out());
    token_shift(exec, packs ? sequences(packed{p.cu, p.slots}) : sequences(dense{at.batch, at.tokens}),
                token_shift_inputs<T, 3>{.x = at.in(x), .mix = {mix[0], mix[1], mix[2]}},
                {.y = {at.out(y0), at.out(y1), at.out(y2)}}, state);
  }
  return collect<T>(y0, y1, y2, p.carried == carry::in_place ? S : other);
};

/// The same from a list of each sequence's tokens behind its initial value; or the magnitude of what is summed.
outputs<double> listed(const shift_problem& p, bool magnitude) {
  const auto x = pattern("x", p.B * p.T * p.N, 0, unit_scale), S = pattern("S", p.pool * p.N, 0, unit_scale);
  const auto mix = mixes(p);
  outputs<double> y(4);
  y[3].assign(S.begin(), S.end());
  const index_t count = p.cu.empty() ? p.B : static_cast<index_t>(p.cu.size()) - 1;
  for (index_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const index_t begin = p.cu.empty() ? i * p.T : p.cu[at], end = p.cu.empty() ? (i + 1) * p.T : p.cu[at + 1];
    const index_t slot = p.slots.empty() ? i : p.slots[at];
    std::vector<double> tokens(S.begin() + slot * p.N, S.begin() + (slot + 1) * p.N);
    if (!p.reads()) tokens.assign(tokens.size(), 0);
    tokens.insert(tokens.end(), x.begin() + begin * p.N, x.begin() + end * p.N);
    for (index_t j = 0; j < (end - begin) * p.N; ++j)
      for (std::size_t m = 0; m < 3; ++m) {
        const double share = mix[m][j % p.N], before = *(tokens.begin() + j), now = *(tokens.begin() + j + p.N);
        y[m].push_back(magnitude ? std::fabs(now) * (1 + std::fabs(share)) + std::fabs(before * share)
                                 : (1 - share) * now + share * before);
      }
    if (p.writes()) std::copy(tokens.end() - p.N, tokens.end(), y[3].begin() + slot * p.N);
  }
  return y;
}

std::vector<shift_problem> shift_problems() {
  std::vector<shift_problem> all;
  for (const auto& p : problems())
    if (p.H == 1) all.push_back(p);
  for (const layout how : layouts)
    for (const auto type : dtypes) all.push_back(problem{.T = 5, .N = 35, .how = how, .type = type});
  const auto every_carry = {carry::nothing, carry::initial_only, carry::final_only, carry::other_memory};
  for (const auto c : every_carry)
    for (const index_t T : {0, 1, 4}) all.push_back({problem{.T = T}, c});
  for (const auto c : {carry::nothing, carry::initial_only, carry::in_place})
    for (const layout how : {layout::dense, layout::reversed}) {
      shift_problem p{problem{.B = 1, .T = 116, .N = 19, .how = how}, c};
      p.cu = {0, 0, 1, 3, 18, 34, 51, 116};
      p.pool = how == layout::dense ? 9 : 7;
      if (how == layout::dense) p.slots = {4, 7, 0, 8, 2, 5, 1};
      all.push_back(p);
    }
  return all;
}

}  // namespace

TEST_CASE("token_shift mixes every token with the one before it in its sequence") {
  reference_executor exec;
  for (const auto& p : shift_problems()) {
    INFO(p.text());
    const auto exact = run(exec, p, 0.0);
    check_close(p, exact, listed(p, false), by_relative_l2, budget::definition);
    check_close(p, run(exec, p, 0.0f), exact, by_ulps, budget::rounded_once);
  }
}

TEST_CASE("token_shift on a cpu is within the elementwise budget; the state is copied exactly") {
  reference_executor reference;
  for (const auto& p : shift_problems()) {
    INFO(p.text());
    const auto want = run(reference, p, 0.0);
    const auto terms = listed(p, true);
    for_each_cpu_executor([&](auto& exec) {
      const auto got = run(exec, p, 0.0f);
      for (std::size_t m = 0; m < 3; ++m) {
        const double error = max_ulps_of(got[m], want[m], terms[m]);
        CHECK(error <= budget::elementwise);
      }
      CHECK(max_abs(got[3], want[3]) == 0);
    });
  }
}

TEST_CASE("token_shift does not depend on threads, neighbours or cuts") {
  check_determinism(problem{.B = 3, .T = 40, .N = 2055}, run);
}

TEST_CASE("token_shift of one sequence does not depend on threads") {
  const problem p{.B = 1, .T = 60, .N = 2055};
  auto exec = one_thread();
  const auto once = run(exec, p, 0.0f);
  for_each_threading([&](auto& threads) { CHECK(same_bits(once, run(threads, p, 0.0f))); });
}

TEST_CASE("token_shift of a broadcast initial value begins every sequence with it") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    tensor<T, 3> x({3, 2, 5}), y = x, y_each = x;
    tensor<T, 1> first({5});
    tensor<T, 2> each({3, 5});
    fill(x, "x");
    fill(first, "first");
    each.generate([&](index_t i) { return first[i % 5]; });
    const parameter<1> mix({5}, dtype::f32, "mix", 0.5f, 0.5f);
    const token_shift_inputs<T, 1> in{.x = x, .mix = {mix}};
    token_shift(exec, dense{3, 2}, in, {.y = {y.out()}}, {broadcast(first.in(), 3), {}});
    token_shift(exec, dense{3, 2}, in, {.y = {y_each.out()}}, {each, {}});
    CHECK(same_bits(y.values(), y_each.values()));
  });
}
