// SPDX-License-Identifier: MIT
#include "rwkv7/ops/wkv7.hpp"

#include <doctest/doctest.h>

#include "support/golden_recurrence.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// The formula with matrices as one learns it, in long double: S (diag(w) + a bᵀ) + v kᵀ. Dense sequences only.
outputs<double> in_matrices(const recurrence& p) {
  using real = long double;
  const auto at = [](const std::vector<float>& x, index_t i) {
    return static_cast<real>(x[static_cast<std::size_t>(i)]);
  };
  const index_t N = p.N;
  outputs<double> out(2);
  out[0].resize(p.r.size());
  for (index_t head = 0; head < p.B * p.H; ++head) {
    const index_t b = head / p.H, h = head % p.H;
    std::vector<real> S(static_cast<std::size_t>(N * N)), next = S;
    const auto cell = [N](std::vector<real>& m, index_t i, index_t j) -> real& {
      return m[static_cast<std::size_t>(i * N + j)];
    };
    for (index_t i = 0; i < N * N; ++i) S[static_cast<std::size_t>(i)] = at(p.S, head * N * N + i);
    for (index_t t = b * p.T; t < (b + 1) * p.T; ++t) {
      const index_t own = (t * p.H + h) * N;
      const index_t key = (t * p.H_k + h * p.H_k / p.H) * N, value = (t * p.H_v + h * p.H_v / p.H) * N;
      for (index_t i = 0; i < N; ++i)
        for (index_t j = 0; j < N; ++j) {
          const real w = std::exp(-std::exp(-0.5L) / (1 + std::exp(-at(p.w, own + j))));
          real sum = at(p.v, value + i) * at(p.k, key + j);
          for (index_t m = 0; m < N; ++m)
            sum += cell(S, i, m) * ((m == j ? w : 0) + at(p.a, own + m) * at(p.b, own + j));
          cell(next, i, j) = sum;
        }
      S = next;
      for (index_t i = 0; i < N; ++i) {
        real sum = 0;
        for (index_t j = 0; j < N; ++j) sum += cell(S, i, j) * at(p.r, own + j);
        out[0][static_cast<std::size_t>(own + i)] = static_cast<double>(sum);
      }
    }
    out[1].insert(out[1].end(), S.begin(), S.end());
  }
  return out;
}

}  // namespace

TEST_CASE("the formula of the golden inputs gives the example in the golden file") {
  const auto example = golden_file("wkv7").get<double>("formula/example").values;
  const auto ours = pattern("formula/example", 8, 0.25f, 1.5f);
  CHECK(std::vector<double>(ours.begin(), ours.end()) == example);
  const auto patched = pattern("formula/example", 8, 0.25f, 1.5f, {{2, 3, 100, 0}});
  for (std::size_t i = 0; i < 8; ++i) CHECK(patched[i] == (i < 2 || i > 4 ? ours[i] : 100));
}

TEST_CASE("the reference executor gives the golden values") {
  reference_executor exec;
  for (const auto& c : golden_cases("wkv7")) {
    INFO(c.name);
    check_recurrence_close(run_wkv7(exec, c.given, 0.0), c.wanted, budget::definition);
    check_recurrence_close(run_wkv7(exec, c.given, 0.0f), c.wanted, budget::unit_roundoff);
  }
}

TEST_CASE("the reference executor equals the formula in matrices, heads grouped in any way") {
  reference_executor exec;
  for (const index_t N : {1, 3, 16, 17})
    for (const auto& [H_k, H_v] : {std::pair<index_t, index_t>{4, 4}, {2, 4}, {4, 1}, {1, 2}}) {
      const auto p = made_up({.B = 2, .T = 9, .H = 4, .H_k = H_k, .H_v = H_v, .N = N});
      check_recurrence_close(run_wkv7(exec, p, 0.0), in_matrices(p), budget::definition);
    }
}

TEST_CASE("every cpu executor gives the golden values within the budget of a recurrence") {
  for (const auto& c : golden_cases("wkv7")) {
    INFO(c.name);
    for_each_cpu_executor([&](auto& exec) {
      check_recurrence_close(run_wkv7(exec, c.given, 0.0f), c.wanted, budget::recurrence(c.given.T, c.given.N));
    });
  }
}

TEST_CASE("a and b swapped, a mistaken decay and a transposed state would be noticed") {
  const auto noticed = [](const golden_case& c, const recurrence& given, const way& how = {}) {
    for_each_cpu_executor([&](auto& exec) {
      const double error = relative_l2(run_wkv7(exec, given, 0.0f, how)[0], c.wanted[0]);
      CHECK(error > budget::planted_fault * budget::recurrence(given.T, given.N));
    });
  };
  for (const auto& c : golden_cases("wkv7")) {
    INFO(c.name);
    noticed(c, c.given, {.swapped = true});
    auto other_form = c.given;
    other_form.form = c.given.form == decay_form::logit ? decay_form::loglog : decay_form::logit;
    noticed(c, other_form);
    if (c.name.starts_with("wkv7/decay_logit")) {
      auto other_offset = c.given;
      other_offset.offset = c.given.offset == decay_offset::half ? decay_offset::six_tenths : decay_offset::half;
      noticed(c, other_offset);
    }
    if (c.given.S[1] == 0) continue;
    auto transposed = c.given;
    const index_t N = c.given.N;
    for (index_t i = 0; i < static_cast<index_t>(c.given.S.size()); ++i)
      transposed.S[static_cast<std::size_t>(i)] =
          c.given.S[static_cast<std::size_t>(i / N / N * N * N + i % N * N + i / N % N)];
    noticed(c, transposed);
  }
}

TEST_CASE("every cpu executor is within the budget of a recurrence at any head size and length") {
  std::vector<recurrence> all;
  for (const index_t N : {1, 3, 4, 5, 15, 16, 17, 31, 33, 63, 64, 65, 96, 100, 127, 128, 129, 200, 256})
    for (const index_t T : {1, 9, 33}) all.push_back({.T = T, .H = 1, .H_k = 1, .H_v = 1, .N = N});
  for (const index_t N : {16, 19, 64})
    for (const index_t T : lengths) all.push_back({.B = 2, .T = T, .N = N});
  for (const auto& [H_k, H_v] : {std::pair<index_t, index_t>{1, 4}, {2, 1}, {4, 2}})
    all.push_back({.B = 2, .T = 11, .H = 4, .H_k = H_k, .H_v = H_v, .N = 64});
  all.push_back({.B = 0});
  reference_executor reference;
  for (const auto& shape : all) {
    const auto p = made_up(shape);
    INFO(p.text());
    const auto want = run_wkv7(reference, p, 0.0);
    for_each_cpu_executor(
        [&](auto& exec) { check_recurrence_close(run_wkv7(exec, p, 0.0f), want, budget::recurrence(p.T, p.N)); });
  }
}

TEST_CASE("wkv7 over two thousand tokens of slow decay stays within the budget of a recurrence") {
  auto p = made_up({.T = 2048, .H = 1, .H_k = 1, .H_v = 1, .N = 64});
  const auto check = [&] {
    reference_executor reference;
    const auto want = run_wkv7(reference, p, 0.0);
    for_each_arch(
        [&](auto& exec) { check_recurrence_close(run_wkv7(exec, p, 0.0f), want, budget::recurrence(p.T, p.N)); });
  };
  p.w = pattern("slow", 2048 * 64, -11, 3);
  check();
  for (auto& w : p.w) w = -9;  // the same at every token: an error of the factor would be the same, too, and add up
  check();
}

TEST_CASE("wkv7 takes decays of any size: 0, too small for a product of a block, negative, more than 1") {
  reference_executor reference;
  for (const index_t T : {8, 33, 70}) {
    auto p = made_up({.T = T, .H = 1, .H_k = 1, .H_v = 1, .N = 64});
    p.form = decay_form::factor;
    const float often[] = {0.97f, 0.9f, 0.999f, 0.6f}, rare[] = {0, 1e-30f, 1e-9f, -0.5f, -1e-7f, 1.5f, 0.01f};
    for (std::size_t i = 0; i < p.w.size(); ++i) p.w[i] = i % 37 == 5 ? rare[i / 37 % 7] : often[i % 4];
    for (std::size_t j = 0; j < 64; ++j) p.w[5 * 64 + j] = 1e-3f;  // a whole token
    const auto want = run_wkv7(reference, p, 0.0);
    for_each_arch(
        [&](auto& exec) { check_recurrence_close(run_wkv7(exec, p, 0.0f), want, budget::recurrence(p.T, p.N)); });
    for (auto& w : p.w) w = 0.05f;  // 2^-40 after ten tokens
    const auto want_fast = run_wkv7(reference, p, 0.0);
    for_each_arch(
        [&](auto& exec) { check_recurrence_close(run_wkv7(exec, p, 0.0f), want_fast, budget::recurrence(p.T, p.N)); });
  }
}

TEST_CASE("wkv7 gives the same bits in every layout of operands and state") {
  for (const index_t N : {19, 64})
    for (const index_t T : {1, 5, 40}) {
      const auto p = made_up({.B = 2, .T = T, .N = N});
      for_each_executor([&](auto& exec, auto zero) {
        const auto dense = run_wkv7(exec, p, zero);
        for (const layout how : layouts) {
          INFO(name_of(how));
          CHECK(same_bits(dense, run_wkv7(exec, p, zero, {.how = how})));
          CHECK(same_bits(dense, run_wkv7(exec, p, zero, {.state = how})));
          CHECK(same_bits(dense, run_wkv7(exec, p, zero, {.how = how, .state = how, .final = finish::other_memory})));
        }
      });
    }
}
