// SPDX-License-Identifier: MIT
#include "rwkv7/ops/rope_table.hpp"

#include <doctest/doctest.h>
#include <cmath>
#include <vector>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

constexpr index_t half = 33;

std::vector<double> frequencies(double theta) {
  std::vector<double> all(half);
  rope_frequencies(theta, view<double, 1>(all.data(), {half}));
  return all;
}

/// Cosines, then sines.
template <class T, class Exec>
outputs<T> run(Exec& exec, const sequences& seq, const std::vector<std::int64_t>& position,
               const std::vector<double>& frequency, layout how = layout::dense) {
  tensor<T, 3> cosine({seq.batch(), seq.tokens(), half}, how), sine = cosine;
  rope_table(exec, seq,
             rope_table_inputs<T>{
                 .position = view<const std::int64_t, 1>(position.data(), {static_cast<index_t>(position.size())}),
                 .frequency = view<const double, 1>(frequency.data(), {half})},
             {.cos = cosine.out(), .sin = sine.out()});
  return collect<T>(cosine, sine);
}

/// f(exec, zero) for every executor in float, and those of the reference and every instruction set in double.
template <class F>
void for_each_executor_and_type(F f) {
  for_each_executor(f);
  for_each_arch([&](auto& exec) { f(exec, 0.0); });
}

}  // namespace

TEST_CASE("rope_frequencies are powers of theta, the first of them 1") {
  for (const double theta : {1e4, 1e6, 8e6}) {
    const auto all = frequencies(theta);
    CHECK(all[0] == 1);
    for (index_t i = 0; i < half; ++i) {
      const auto logarithm = -static_cast<long double>(i) / half * std::log(static_cast<long double>(theta));
      // A rounded exponent is off by its own last digit: less than lower frequencies lose in a turn.
      const double got = all[static_cast<std::size_t>(i)], allowed = static_cast<double>(2 - logarithm) * 0x1p-53;
      CHECK(std::fabs(static_cast<double>(got / std::exp(logarithm) - 1)) <= allowed);
    }
  }
}

TEST_CASE("rope_table is sine and cosine of position times frequency, to the last digits of double") {
  const auto frequency = frequencies(1e6);
  const std::vector<std::int64_t> position = {0, 1'000'000, -3, std::int64_t{1} << 40};
  const index_t tokens = 5;
  for_each_executor_and_type([&](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto y = run<T>(exec, dense{4, tokens}, position, frequency);
    for (std::size_t i = 0; i < y[0].size(); ++i) {
      const auto token = static_cast<index_t>(i) / half;
      const long double at =
          static_cast<long double>(position[static_cast<std::size_t>(token / tokens)]) + token % tokens;
      const long double angle = at * frequency[i % half];
      const double allowed = static_cast<double>(std::fabs(angle)) * 1.2e-16 + (sizeof(T) == 4 ? 0x1p-25 : 0) + 2e-16;
      CHECK(std::fabs(static_cast<double>(y[0][i] - std::cos(angle))) <= allowed);
      CHECK(std::fabs(static_cast<double>(y[1][i] - std::sin(angle))) <= allowed);
    }
  });
}

TEST_CASE("rope_table counts tokens of packed sequences from the position of their slot") {
  const auto frequency = frequencies(1e4);
  const std::vector<std::int32_t> cu = {0, 0, 3, 4, 4, 9}, slots = {0, 2, 1, 4, 3};
  const std::vector<std::int64_t> position = {7, 100, 2000, 30000, 400000};
  const std::vector<std::int64_t> each = {2000, 2001, 2002, 100, 30000, 30001, 30002, 30003, 30004};
  for_each_executor_and_type([&](auto& exec, auto zero) {
    using T = decltype(zero);
    for (const layout how : layouts) {
      const auto y = run<T>(exec, packed{cu, slots}, position, frequency, how);
      const auto alone = run<T>(exec, dense{9, 1}, each, frequency);
      CHECK(same_bits(y, alone));
    }
  });
}

TEST_CASE("rope_table does not depend on threads or on cuts of the tokens") {
  const auto frequency = frequencies(1e4);
  const std::vector<std::int64_t> position = {12345, 0, 999'999};
  auto exec = one_thread();
  const auto once = run<float>(exec, dense{3, 700}, position, frequency);
  for_each_threading([&](auto& threads) {
    CHECK(same_bits(once, run<float>(threads, dense{3, 700}, position, frequency)));
  });
  outputs<float> cut(2);
  for (const std::int64_t p : position)
    for (const index_t t : {0, 350}) {
      const auto part = run<float>(exec, dense{1, 350}, {p + t}, frequency);
      for (std::size_t i = 0; i < 2; ++i) cut[i].insert(cut[i].end(), part[i].begin(), part[i].end());
    }
  CHECK(same_bits(once, cut));
}

TEST_CASE("rope_table of no tokens, and of no frequencies, writes nothing") {
  for_each_executor_and_type([&](auto& exec, auto zero) {
    using T = decltype(zero);
    CHECK(run<T>(exec, dense{0, 4}, {0}, frequencies(1e4))[0].empty());
    CHECK(run<T>(exec, dense{2, 0}, {1, 2}, frequencies(1e4))[0].empty());
    const std::vector<std::int32_t> cu = {0, 0, 0};
    CHECK(run<T>(exec, packed{cu}, {1, 2}, frequencies(1e4))[0].empty());
  });
}

TEST_CASE("rope_table names the operand that is wrong and writes nothing") {
  tensor<float, 3> cosine({2, 3, 4}), sine = cosine;
  const std::int64_t positions[] = {1, 2};
  const double some[] = {1, 0.5, 0.25, 0.125};
  const rope_table_inputs<float> in{.position = view<const std::int64_t, 1>(positions, {2}),
                                    .frequency = view<const double, 1>(some, {4})};
  const auto refuses = [&](const char* text, auto change, const sequences& seq = dense{2, 3}) {
    auto in_ = in;
    rope_table_outputs<float> out{.cos = cosine.out(), .sin = sine.out()};
    change(in_, out);
    check_refused(text, validate_rope_table(seq, in_, out), [&](auto& exec) { rope_table(exec, seq, in_, out); });
    CHECK((cosine.untouched() && sine.untouched()));
  };
  const std::vector<std::int32_t> cu = {0, 3}, slot = {2};
  const auto nothing = [](auto&, auto&) {};
  refuses("rwkv7::rope_table: state slots: got 1, want at least B = 2",
          [](auto& i, auto&) { i.position = resized(i.position, 0, 1); });
  refuses("rwkv7::rope_table: state_indices[0]: got 2, want 0 to 1", nothing, packed{cu, slot});
  refuses("rwkv7::rope_table: position: not given",
          [](auto& i, auto&) { i.position = view<const std::int64_t, 1>(nullptr, {2}); });
  refuses("rwkv7::rope_table: frequency: not given", [](auto& i, auto&) { i.frequency = {}; });
  refuses("rwkv7::rope_table: cos axis N / 2: got 4, want 3",
          [](auto& i, auto&) { i.frequency = resized(i.frequency, 0, 3); });
  refuses("rwkv7::rope_table: sin axis T: got 2, want 3", [](auto&, auto& o) { o.sin = resized(o.sin, 1, 2); });
  refuses("rwkv7::rope_table: cos: not given", [](auto&, auto& o) { o.cos = {}; });
  refuses("rwkv7::rope_table: sin overlaps cos", [](auto&, auto& o) { o.sin = o.cos; });
  refuses("rwkv7::rope_table: cos axis 0: stride 0 cannot be written (a broadcast tensor is read only)",
          [](auto&, auto& o) {
            o.cos = view<float, 3>(o.cos.data(), {2, 3, 4}, {0, 4, 1});
          });
}
