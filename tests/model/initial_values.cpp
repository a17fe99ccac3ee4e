// SPDX-License-Identifier: MIT
// What linearised Transformers begin with: ranks as the published trainer has them, vectors and factors against NumPy.
#include "rwkv7/model/initial_values.hpp"

#include <doctest/doctest.h>

#include <array>

#include "support/golden.hpp"

using namespace rwkv7_test;
using rwkv7::index_t;
using rwkv7::linearised;
using rwkv7::recipe;

namespace {

std::vector<index_t> ranks(linearised target, recipe which, index_t D) {
  const auto [w, a, v, k, g] = rwkv7::initial_ranks(target, which, D);
  return {w, a, v, k, g};
}

/// Each is the golden value, rounded once or twice.
void check_rounded(const std::vector<float>& got, const std::vector<double>& want) {
  CHECK(got.size() == want.size());
  for (std::size_t i = 0; i < got.size() && i < want.size(); ++i)
    CHECK(std::abs(static_cast<double>(got[i]) - want[i]) <= std::abs(want[i]) * 0x1.01p-24 + 1e-15);
}

/// The largest difference of the Gram matrix of rows (or columns, where these are fewer) from γ² I, by γ².
double not_orthogonal(const std::vector<float>& x, index_t rows, index_t columns, double gain) {
  const bool wide = rows <= columns;
  const index_t count = wide ? rows : columns, length = wide ? columns : rows;
  const auto at = [&](index_t i, index_t n) {
    return static_cast<double>(x[static_cast<std::size_t>(wide ? i * columns + n : n * columns + i)]);
  };
  double worst = 0;
  for (index_t i = 0; i < count; ++i)
    for (index_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (index_t n = 0; n < length; ++n) sum += at(i, n) * at(j, n);
      worst = std::max(worst, std::abs(sum / (gain * gain) - (i == j ? 1 : 0)));
    }
  return worst;
}

}  // namespace

TEST_CASE("ranks are those of the published trainer") {
  using enum linearised;
  using enum recipe;
  const auto check = [](index_t D, const std::vector<index_t>& of_076, const std::vector<index_t>& of_079,
                        const std::vector<index_t>& now) {
    CAPTURE(D);
    CHECK(ranks(all_076, original, D) == of_076);
    CHECK(ranks(all_079, original, D) == of_079);
    CHECK(ranks(hybrid_079, original, D) == of_079);
    CHECK(ranks(all_079, latest, D) == now);
  };
  check(1024, {64, 64, 32, 0, 160}, {96, 64, 32, 32, 96}, {256, 64, 32, 32, 256});
  check(2048, {96, 96, 64, 0, 256}, {160, 96, 64, 64, 160}, {256, 96, 64, 64, 256});
  check(3584, {96, 96, 64, 0, 416}, {224, 96, 64, 64, 256}, {256, 96, 64, 64, 256});
  check(4096, {128, 128, 96, 0, 480}, {256, 128, 96, 96, 256}, {256, 128, 96, 96, 256});
  check(5120, {128, 128, 96, 0, 544}, {288, 128, 96, 96, 320}, {288, 128, 96, 96, 320});
  check(6144, {128, 128, 96, 0, 640}, {320, 128, 96, 96, 384}, {320, 128, 96, 96, 384});
  check(8192, {160, 160, 128, 0, 800}, {384, 160, 128, 128, 480}, {384, 160, 128, 128, 480});
  check(2, {32, 32, 32, 0, 32}, {32, 32, 32, 32, 32}, {256, 32, 32, 32, 256});
}

TEST_CASE("halves are rounded to even, as Python does: 1.8 √6400 = 32 · 4.5, 1.8 √57600 = 32 · 13.5") {
  CHECK(ranks(linearised::all_076, recipe::original, 6400)[1] == 128);
  CHECK(ranks(linearised::all_076, recipe::original, 57600)[1] == 448);
}

TEST_CASE("vectors agree with NumPy") {
  const auto golden = golden_file("initial_values");
  const auto sizes = golden.metadata("sizes");
  const rwkv7::dims d{.C = 40, .H = sizes["H"], .N = sizes["N"], .H_kv = 1};
  const auto width = [](index_t n, float value) { return std::vector<float>(static_cast<std::size_t>(n), value); };
  for (const index_t layer : {0, 2, 4})
    for (const auto target : {linearised::all_076, linearised::all_079, linearised::hybrid_079}) {
      const bool old = target == linearised::all_076;
      const auto at = (old ? "cxa076/" : "cxa079/") + std::to_string(layer);
      CAPTURE(at);
      const auto got = rwkv7::initial_vectors(target, d, layer, sizes["layers"]);
      check_rounded(got.w0, golden.get<double>(at + "/w0").values);
      check_rounded(got.a0, golden.get<double>(at + "/a0").values);
      CHECK(got.v0 == (old ? width(18, 1) : width(6, 0.73f)));
      CHECK(got.k0 == (old ? std::vector<float>() : width(6, 0.73f)));
      CHECK(got.r_k == width(18, old ? 0 : -0.04f));
    }
}

TEST_CASE("the only layer has the values of the first") {
  const rwkv7::dims d{.C = 40, .H = 2, .N = 2, .H_kv = 1};
  for (const auto target : {linearised::all_076, linearised::all_079})
    CHECK(rwkv7::initial_vectors(target, d, 0, 1).w0 == rwkv7::initial_vectors(target, d, 0, 9).w0);
}

TEST_CASE("normal numbers agree with Python, and are normal") {
  const auto want = golden_file("initial_values").get<double>("normal").values;
  const rwkv7::normal_stream normal(42, "stream");
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(std::abs(normal(i) - want[i]) <= 1e-14);
  constexpr int count = 100'000;
  double moments[5] = {};
  for (std::uint64_t i = 0; i < count; ++i)
    for (int power = 1; power <= 4; ++power) moments[power] += std::pow(normal(i), power) / count;
  // Six standard deviations of each mean: 1, 2, 15 and 96 are the variances of the powers.
  const double want_moments[] = {0, 0, 1, 0, 3}, variances[] = {0, 1, 2, 15, 96};
  for (int power = 1; power <= 4; ++power)
    CHECK(std::abs(moments[power] - want_moments[power]) <= 6 * std::sqrt(variances[power] / count));
}

TEST_CASE("factors agree with NumPy's QR decomposition") {
  const auto golden = golden_file("initial_values");
  const auto factors = golden.metadata("factors");
  CHECK(factors.size() == 4);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const auto& entry = factors[i];
    const auto want = golden.get<double>("factor/" + std::to_string(i)).values;
    const auto got = rwkv7::initial_factor(entry["rows"], entry["columns"], entry["seed"].get<std::uint64_t>(),
                                           entry["name"].get<std::string>());
    CHECK(got.size() == want.size());
    for (std::size_t n = 0; n < want.size(); ++n)
      CHECK(std::abs(static_cast<double>(got[n]) - want[n]) <= std::abs(want[n]) * 0x1p-24 + 1e-14);
  }
}

TEST_CASE("factors are orthogonal with their gain, whatever their shape") {
  for (const auto& shape : std::vector<std::array<index_t, 2>>{
           {1, 1}, {1, 9}, {9, 1}, {2, 2}, {3, 7}, {32, 24}, {24, 32}, {32, 33}, {64, 64}, {96, 500}, {256, 100}}) {
    const index_t rows = shape[0], columns = shape[1];
    CAPTURE(rows);
    CAPTURE(columns);
    const double gain =
        rows > columns ? 0.1 * std::sqrt(static_cast<double>(rows) / static_cast<double>(columns)) : 0.1;
    for (const std::uint64_t seed : {0u, 1u, 2u})
      CHECK(not_orthogonal(rwkv7::initial_factor(rows, columns, seed, "name"), rows, columns, gain) <= 1e-6);
  }
}

TEST_CASE("a vector that is nearly a sum of those before it is made orthogonal all the same") {
  // Once would leave about 1e-16 / 1e-10 of the first in the second.
  double x[] = {0.3, 0.7, 0.2, 0.9, 0.51 + 1e-10, 1.19, 0.34, 1.53 - 2e-10};
  rwkv7::detail::orthonormalise(x, 2, 4);
  CHECK(std::abs(rwkv7::detail::dot_of(x, x + 4, 4)) <= 1e-15);
  CHECK(std::abs(rwkv7::detail::dot_of(x + 4, x + 4, 4) - 1) <= 1e-15);
}

TEST_CASE("a seed and a name give the same bits, others give others") {
  const auto factor = [](std::uint64_t seed, const char* name) { return rwkv7::initial_factor(8, 12, seed, name); };
  CHECK(factor(3, "a") == factor(3, "a"));
  CHECK(factor(3, "a") != factor(4, "a"));
  CHECK(factor(3, "a") != factor(3, "b"));
}
