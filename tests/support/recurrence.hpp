// SPDX-License-Identifier: MIT
/// Calls of wkv7 and wkv: what goes in as plain numbers, and the ways to hand it over.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "rwkv7/ops/wkv7.hpp"
#include "support/tokenwise.hpp"

namespace rwkv7_test {

using rwkv7::read_policy;

/// The operands of a recurrence, row-major, in float.
struct recurrence {
  index_t B = 1, T = 7, H = 2, H_k = 2, H_v = 2, N = 16;
  std::vector<std::int32_t> cu{}, slots{};  // empty: dense
  index_t pool = 0;                         // slots of the state; 0: B
  rwkv7::decay_form form = rwkv7::decay_form::logit;
  rwkv7::decay_offset offset = rwkv7::decay_offset::half;
  std::vector<float> r{}, w{}, k{}, v{}, a{}, b{}, u{}, S{};

  std::string text() const {
    return "B " + std::to_string(B) + ", T " + std::to_string(T) + ", H " + std::to_string(H) + ", H_k " +
           std::to_string(H_k) + ", H_v " + std::to_string(H_v) + ", N " + std::to_string(N);
  }
};

/// Fills in operands at unit scale: a is about a unit vector, b = -a ⊙ eta, every fourth channel hardly decays.
inline recurrence made_up(recurrence p) {
  if (p.pool == 0) p.pool = p.B;
  const auto values = [&](const char* name, index_t H, float offset, float scale) {
    return pattern(name, p.B * p.T * H * p.N, offset, scale);
  };
  p.r = values("r", p.H, 0, 1);
  p.k = values("k", p.H_k, 0, 1);
  p.v = values("v", p.H_v, 0, 1);
  p.a = values("a", p.H, 0, std::sqrt(3 / static_cast<float>(p.N)));
  p.b = values("eta", p.H, 0.5f, 0.5f);
  for (std::size_t i = 0; i < p.a.size(); ++i) p.b[i] *= -p.a[i];
  p.u = pattern("u", p.H * p.N, 0.5f, 0.5f);
  p.S = pattern("S", p.pool * p.H * p.N * p.N, 0, 1);
  tensor<float, 4> w({p.B, p.T, p.H, p.N});
  fill_decay(w, "w");
  p.w = w.values();
  return p;
}

/// The same problem on values that this type can hold.
inline recurrence rounded_to(rwkv7::dtype type, recurrence p) {
  for (auto* values : {&p.r, &p.w, &p.k, &p.v, &p.a, &p.b, &p.u, &p.S})
    for (float& x : *values) x = rounded_to(type, x);
  return p;
}

enum class start { absent, given };
enum class finish { in_place, other_memory, absent };

/// How a recurrence is called.
struct way {
  layout how = layout::dense, state = layout::dense;
  start initial = start::given;
  finish final = finish::in_place;
  std::vector<index_t> cuts{};  // tokens of each call; empty: one call
  bool swapped = false;         // a for b, to see that tests notice
};

/// The operands in memory.
template <class T>
struct operands_in_memory {
  const recurrence& p;
  tensor<T, 4> r, w, k, v, a, b;

  explicit operands_in_memory(const recurrence& given, const way& how = {})
      : p(given),
        r(held(p.H, p.r, how)),
        w(held(p.H, p.w, how)),
        k(held(p.H_k, p.k, how)),
        v(held(p.H_v, p.v, how)),
        a(held(p.H, how.swapped ? p.b : p.a, how)),
        b(held(p.H, how.swapped ? p.a : p.b, how)) {}

  /// The arguments of wkv7, each seen through `f`.
  template <class F>
  rwkv7::wkv7_inputs<T> seen(F f) const {
    return {.r = f(r), .w = decay(f(w)), .k = f(k), .v = f(v), .a = f(a), .b = f(b)};
  }
  rwkv7::wkv7_inputs<T> all() const {
    return seen([](const auto& x) { return x.in(); });
  }
  rwkv7::decay<T> decay(const view<const T, 4>& x) const {
    using rwkv7::decay_form;
    if (p.form == decay_form::factor) return rwkv7::decay<T>::factor(x);
    if (p.form == decay_form::log) return rwkv7::decay<T>::log(x);
    if (p.form == decay_form::loglog) return rwkv7::decay<T>::loglog(x);
    return rwkv7::decay<T>::logit(x, p.offset);
  }

 private:
  tensor<T, 4> held(index_t H, const std::vector<float>& values, const way& how) const {
    tensor<T, 4> x({p.B, p.T, H, p.N}, how.how);
    if (!values.empty()) x.generate([&](index_t i) { return element<T>(values[static_cast<std::size_t>(i)]); });
    return x;
  }
};

/// call(sequences, slicer, y, state) for each cut; outputs y and the pool of states, whose elements are E.
template <class T, class E = rwkv7::compute_type<T>, class Call>
outputs<rwkv7::compute_type<T>> in_cuts(const recurrence& p, const way& how, Call call) {
  tensor<T, 4> y({p.B, p.T, p.H, p.N}, how.how);
  tensor<E, 4> S({p.pool, p.H, p.N, p.N}, how.state), other = S;
  S.generate([&](index_t i) { return element<E>(p.S[static_cast<std::size_t>(i)]); });
  rwkv7::state<E> state;
  if (how.initial == start::given) state.initial = S;
  if (how.final != finish::absent) state.final = how.final == finish::in_place ? S.out() : other.out();
  const auto cuts = how.cuts.empty() ? std::vector<index_t>{p.T} : how.cuts;
  index_t t = 0;
  for (const index_t tokens : cuts) {
    const piece at{0, p.B, t, tokens};
    const auto seq = p.cu.empty() ? rwkv7::sequences(rwkv7::dense{p.B, tokens}) : rwkv7::packed{p.cu, p.slots};
    call(seq, at, at.out(y), state);
    state.initial = state.final;
    t += tokens;
  }
  CHECK(t == p.T);
  return collect<T>(y, how.final == finish::other_memory ? other : S);
}

/// Outputs y and the pool of states.
template <class E>
constexpr auto run_wkv7_on_state_of = [](auto& exec, const recurrence& p, auto zero, const way& how = {}) {
  using T = decltype(zero);
  const operands_in_memory<T> x(p, how);
  return in_cuts<T, E>(p, how, [&](const auto& seq, const piece& at, auto y, const auto& state) {
    wkv7(exec, seq, x.seen([&](const auto& operand) { return at.in(operand); }), y, state);
  });
};
inline constexpr auto run_wkv7 = [](auto& exec, const recurrence& p, auto zero, const way& how = {}) {
  using T = decltype(zero);
  const operands_in_memory<T> x(p, how);
  return in_cuts<T>(p, how, [&](const auto& seq, const piece& at, auto y, const auto& state) {
    wkv7(exec, seq, x.seen([&](const auto& operand) { return at.in(operand); }), y, state);
  });
};

/// Likewise without a and b.
template <read_policy Policy>
constexpr auto run_wkv = [](auto& exec, const recurrence& p, auto zero, const way& how = {}) {
  using T = decltype(zero);
  using inputs = rwkv7::wkv_inputs<T, Policy>;
  const operands_in_memory<T> x(p, how);
  std::vector<T> u;
  for (const float value : p.u) u.push_back(element<T>(value));
  return in_cuts<T>(p, how, [&](const auto& seq, const piece& at, auto y, const auto& state) {
    const auto in = x.seen([&](const auto& operand) { return at.in(operand); });
    if constexpr (Policy == read_policy::before_bonus)
      wkv(exec, seq, inputs{.r = in.r, .w = in.w, .k = in.k, .v = in.v, .u = view<const T, 2>(u.data(), {p.H, p.N})}, y,
          state);
    else
      wkv(exec, seq, inputs{.r = in.r, .w = in.w, .k = in.k, .v = in.v}, y, state);
  });
};

/// y and the states within these relative distances.
template <class A, class B>
void check_recurrence_close(const outputs<A>& got, const outputs<B>& want, double budget) {
  const double y = relative_l2(got[0], want[0]), S = relative_l2(got[1], want[1]);
  CHECK(y <= budget);
  CHECK(S <= budget);
}

}  // namespace rwkv7_test
