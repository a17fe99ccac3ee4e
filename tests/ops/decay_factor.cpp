// SPDX-License-Identifier: MIT
#include "rwkv7/ops/decay_factor.hpp"

#include <doctest/doctest.h>
#include <cmath>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// One of the forms a decay comes in, with the range of values models have in it.
struct form {
  decay_form kind;
  decay_offset offset;
  float middle, reach;

  template <class T>
  decay<T> of(const view<const T, 4>& x) const {
    if (kind == decay_form::factor) return decay<T>::factor(x);
    if (kind == decay_form::log) return decay<T>::log(x);
    if (kind == decay_form::loglog) return decay<T>::loglog(x);
    return decay<T>::logit(x, offset);
  }
  long double operator()(long double x) const {
    if (kind == decay_form::factor) return x;
    if (kind == decay_form::log) return std::exp(x);
    if (kind == decay_form::loglog) return std::exp(-std::exp(x));
    // RWKV-LM: w = -softplus(-x) - c; exp(-exp(w))
    const long double c = offset == decay_offset::half ? 0.5L : 0.6L;
    return std::exp(-std::exp(-std::log1p(std::exp(-x)) - c));
  }
};
constexpr form forms[] = {
    {decay_form::factor, {}, 0.5f, 0.5f},
    {decay_form::log, {}, -4, 4},
    {decay_form::loglog, {}, -6, 6.5f},
    {decay_form::logit, decay_offset::half, -4, 16},
    {decay_form::logit, decay_offset::six_tenths, -4, 16},
};

constexpr auto run_form(const form& f) {
  return [f](auto& exec, const problem& p, auto zero) {
    using T = decltype(zero);
    tensor<T, 4> w({p.B, p.T, p.H, p.N}, p.how), y = w;
    p.fill(w, "w", f.middle, f.reach);
    auto& to = p.in_place ? w : y;
    for (const auto& at : pieces(p)) decay_factor(exec, decay_factor_inputs<T>{.w = f.of(at.in(w))}, at.out(to));
    return collect<T>(to);
  };
}

}  // namespace

TEST_CASE("decay_factor of every form is the factor that multiplies the state") {
  for (const auto& f : forms) {
    CAPTURE(static_cast<int>(f.kind));
    check_definition(problems(), run_form(f), [&](const problem& p) {
      std::vector<double> y;
      for (const float x : pattern("w", p.B * p.T * p.H * p.N, f.middle, f.reach)) y.push_back(double(f(x)));
      return outputs<double>{y};
    });
    check_rounded_once(problems(), run_form(f));
  }
}

TEST_CASE("decay_factor on a cpu is within the elementwise budget") {
  for (const auto& f : forms) {
    CAPTURE(static_cast<int>(f.kind));
    check_cpu(problems(), run_form(f), by_ulps, [](auto&) { return budget::elementwise; });
  }
}

TEST_CASE("decay_factor of a loglog that forgets within one token is within the elementwise budget of 1") {
  // exp(-exp(x)) is as ill-conditioned as exp(x) is large: where the factor itself hardly counts, so do its last bits.
  const auto ulps_of_one = [](auto& got, auto& want, auto&) {
    return max_ulps_of(got, want, std::vector<float>(got.size(), 1));
  };
  check_cpu(problems(), run_form({decay_form::loglog, {}, 2.5f, 2.5f}), ulps_of_one,
            [](auto&) { return budget::elementwise; });
}

TEST_CASE("decay_factor goes to its limits") {
  const auto at = [](auto& exec, const form& f, float value) {
    float x[] = {value};
    const view<float, 4> one(x, {1, 1, 1, 1});
    decay_factor(exec, decay_factor_inputs<float>{.w = f.of<float>(one)}, one);
    return x[0];
  };
  for_each_cpu_executor([&](auto& exec) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const auto& f : forms) CHECK(std::isnan(at(exec, f, std::numeric_limits<float>::quiet_NaN())));
    CHECK(at(exec, forms[1], -infinity) == 0);
    CHECK(at(exec, forms[1], 0) == 1);
    CHECK(at(exec, forms[2], -infinity) == 1);
    CHECK(at(exec, forms[2], infinity) == 0);
    CHECK(at(exec, forms[3], -infinity) == 1);
    CHECK(at(exec, forms[3], infinity) == doctest::Approx(std::exp(-std::exp(-0.5))));
    CHECK(at(exec, forms[4], infinity) == doctest::Approx(std::exp(-std::exp(-0.6))));
  });
}

TEST_CASE("decay_factor may write onto w") {
  for (const auto& f : forms) check_in_place(problems(), run_form(f));
}

TEST_CASE("decay_factor does not depend on threads, neighbours or cuts") {
  for (const auto& f : forms) check_determinism({.B = 3, .T = 40, .H = 4, .N = 129}, run_form(f));
}

TEST_CASE("decay_factor in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  for (const auto& f : forms) check_other_types(problems(), {.B = 3, .T = 40, .H = 4, .N = 129}, run_form(f));
}

TEST_CASE("decay_factor names the operand that is wrong and writes nothing") {
  tensor<float, 4> w({2, 3, 2, 4}), y = w;
  const auto refuses = [&](const char* text, view<const float, 4> w_, view<float, 4> y_) {
    const decay_factor_inputs<float> in{.w = decay<float>::logit(w_)};
    check_refused(text, validate_decay_factor(in, y_), [&](auto& exec) { decay_factor(exec, in, y_); });
    CHECK((w.untouched() && y.untouched()));
  };
  refuses("rwkv7::decay_factor: y axis N: got 3, want 4", w, resized(y.out(), 3, 3));
  refuses("rwkv7::decay_factor: y axis H: got 1, want 2", w, resized(y.out(), 2, 1));
  refuses("rwkv7::decay_factor: w: not given", absent(w), y.out());
  refuses("rwkv7::decay_factor: y: not given", w, {});
  refuses("rwkv7::decay_factor: w axis N: got stride 2, want 1", every_second(w.in()), y.out());
  refuses("rwkv7::decay_factor: y axis N: got stride 2, want 1", w, every_second(y.out()));
  refuses("rwkv7::decay_factor: y overlaps w", reversed(w.in(), 1), w.out());
  refuses("rwkv7::decay_factor: y axis 0: stride 0 cannot be written (a broadcast tensor is read only)", w,
          view<float, 4>(y.out().data(), {2, 3, 2, 4}, {0, 8, 4, 1}));
}
