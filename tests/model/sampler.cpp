// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// What is chosen, and how often, against probabilities computed here from the definition.
#include "rwkv7/model/sampler.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "support/pattern.hpp"
#include "support/reported.hpp"

using rwkv7::index_t;
using rwkv7::sampler;
using rwkv7::sampler_settings;
using rwkv7_test::pattern;
using rwkv7_test::reported;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

using logits = std::vector<float>;

sampler sampler_for(const logits& x, const sampler_settings& settings) {
  return sampler(static_cast<index_t>(x.size()), settings);
}

std::vector<std::int32_t> draws(const logits& x, const sampler_settings& settings, std::size_t count) {
  auto choose = sampler_for(x, settings);
  std::vector<std::int32_t> tokens(count);
  for (auto& token : tokens) token = choose.sample(x);
  return tokens;
}

/// What the comment of `sampler` says, by sorting, in double, for finite logits and no penalties.
std::vector<double> probabilities(const logits& x, const sampler_settings& s) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] > x[b]; });
  const auto top = static_cast<double>(x[order[0]]);
  double all = 0, mass = 0, sum = 0;
  for (const float e : x) all += std::exp(static_cast<double>(e) - top);
  std::vector<double> p(x.size());
  for (std::size_t n = 0; n < order.size(); ++n) {
    if ((s.top_k > 0 && n >= static_cast<std::size_t>(s.top_k)) || mass >= static_cast<double>(s.top_p)) break;
    const double difference = static_cast<double>(x[order[n]]) - top;
    mass += std::exp(difference) / all;
    sum += p[order[n]] = std::exp(difference / static_cast<double>(s.temperature));
  }
  for (double& e : p) e /= sum;
  return p;
}

/// Draws as often as `expected` says? Pearson's statistic, which for so many draws is close to normal around the
/// degrees of freedom; 5 standard deviations. What must not be drawn was not.
void check_frequencies(const std::vector<std::int32_t>& tokens, const std::vector<double>& p) {
  std::vector<double> count(p.size());
  for (const std::int32_t token : tokens) ++count[static_cast<std::size_t>(token)];
  double statistic = 0, freedom = -1;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double expected = p[i] * static_cast<double>(tokens.size());
    if (p[i] == 0) {
      CHECK(count[i] == 0);
      continue;
    }
    CHECK(expected > 5);  // else the statistic means nothing
    statistic += std::pow(count[i] - expected, 2) / expected;
    ++freedom;
  }
  CHECK(statistic < freedom + 5 * std::sqrt(2 * freedom + 1));
}

std::string complaint(const sampler_settings& s) {
  const auto problem = rwkv7::validate_sampler(s);
  CHECK(reported([&] { sampler(4, s); }) == problem.message());
  return problem.message();
}

}  // namespace

TEST_CASE("greedy takes the largest logit, of equal ones the first") {
  CHECK(draws({1, 3, 2}, {}, 2) == std::vector<std::int32_t>{1, 1});
  CHECK(draws({-5, -2, -2, -3}, {}, 1) == std::vector<std::int32_t>{1});
  CHECK(draws({0.0f, -0.0f}, {}, 1) == std::vector<std::int32_t>{0});
  CHECK(draws({1, std::nextafter(1.0f, 2.0f), 1}, {}, 1) == std::vector<std::int32_t>{1});
  CHECK(draws({-infinity, -3e38f, -infinity}, {}, 1) == std::vector<std::int32_t>{1});
  CHECK(draws({3e38f, infinity, infinity}, {}, 1) == std::vector<std::int32_t>{1});
}

TEST_CASE("top_p, top_k and seed cannot change what greedy takes") {
  const logits x = pattern("greedy", 100, 0, 3);
  const auto want = draws(x, {}, 1);
  CHECK(draws(x, {.top_p = 0.01f, .top_k = 3, .seed = 9}, 1) == want);
}

TEST_CASE("tokens are drawn as often as their probabilities say") {
  const logits x = pattern("logits", 40, 0, 2);
  for (const sampler_settings& s : {sampler_settings{.temperature = 1},
                                    {.temperature = 0.7f},
                                    {.temperature = 1.7f},
                                    {.temperature = 1, .top_k = 7},
                                    {.temperature = 1, .top_p = 0.6f},
                                    {.temperature = 2, .top_p = 0.8f},
                                    {.temperature = 0.7f, .top_p = 0.9f, .top_k = 12},
                                    {.temperature = 1.3f, .top_p = 0.3f, .top_k = 12}}) {
    CAPTURE(s.temperature);
    CAPTURE(s.top_p);
    CAPTURE(s.top_k);
    check_frequencies(draws(x, s, 100000), probabilities(x, s));
  }
}

TEST_CASE("top_p looks at the probabilities before the temperature") {
  const logits x = {2, 1, 0, -1};
  const auto p = probabilities(x, {.temperature = 3, .top_p = 0.85f});
  CHECK(p[1] > 0);
  CHECK(p[2] == 0);
  CHECK(probabilities({2 / 3.0f, 1 / 3.0f, 0, -1 / 3.0f}, {.temperature = 1, .top_p = 0.85f})[2] > 0);
  check_frequencies(draws(x, {.temperature = 3, .top_p = 0.85f}, 10000), p);
}

TEST_CASE("top_k keeps the first of equally probable tokens") {
  const logits x = {1, 2, 1, 2, 1};
  check_frequencies(draws(x, {.temperature = 1, .top_k = 1}, 1000), {0, 1, 0, 0, 0});
  check_frequencies(draws(x, {.temperature = 1, .top_k = 2}, 1000), {0, 0.5, 0, 0.5, 0});
  const double e = std::exp(1.0), sum = 1 + 2 * e;
  check_frequencies(draws(x, {.temperature = 1, .top_k = 3}, 100000), {1 / sum, e / sum, 0, e / sum, 0});
}

TEST_CASE("top_k of the vocabulary or more keeps all") {
  const logits x = pattern("all", 10, 0, 1);
  const auto want = draws(x, {.temperature = 1}, 100);
  for (const index_t k : {index_t{10}, index_t{11}, std::numeric_limits<index_t>::max()})
    CHECK(draws(x, {.temperature = 1, .top_k = k}, 100) == want);
}

TEST_CASE("top_p keeps just enough tokens, and always one") {
  const logits x = {0, 0, 0, 0};
  const auto kept = [&](float p) {
    std::string seen = "....";
    for (const std::int32_t token : draws(x, {.temperature = 1, .top_p = p}, 200))
      seen[static_cast<std::size_t>(token)] = 'x';
    return seen;
  };
  CHECK(kept(std::numeric_limits<float>::min()) == "x...");
  CHECK(kept(0.25f) == "x...");
  CHECK(kept(std::nextafter(0.25f, 1.0f)) == "xx..");
  CHECK(kept(0.75f) == "xxx.");
  CHECK(kept(std::nextafter(1.0f, 0.0f)) == "xxxx");
  CHECK(kept(1) == "xxxx");
}

TEST_CASE("a temperature near 0 leaves the best, an enormous one makes all alike") {
  const logits x = {1, 2, 2, 1.999f, -infinity};
  for (const float cold : {1e-5f, std::numeric_limits<float>::denorm_min()})
    check_frequencies(draws(x, {.temperature = cold}, 2000), {0, 0.5, 0.5, 0, 0});
  check_frequencies(draws(x, {.temperature = std::numeric_limits<float>::max()}, 100000), {0.25, 0.25, 0.25, 0.25, 0});
}

TEST_CASE("-inf forbids a token, +inf forbids all others") {
  check_frequencies(draws({0, -infinity, 0}, {.temperature = 1}, 2000), {0.5, 0, 0.5});
  check_frequencies(draws({0, -infinity, 0}, {.temperature = 1, .top_k = 3, .seed = 1}, 2000), {0.5, 0, 0.5});
  check_frequencies(draws({5, infinity, infinity}, {.temperature = 1, .top_p = 0.9f}, 2000), {0, 0.5, 0.5});
}

TEST_CASE("improbable tokens are as improbable as they should be") {
  const logits x = {0, -10};
  const double p = 1 / (1 + std::exp(10.0));
  check_frequencies(draws(x, {.temperature = 1}, 1000000), {1 - p, p});
}

TEST_CASE("weights are powers of two to 29 bits, and end at 2^-40") {
  double worst = 0;
  for (std::uint64_t z = 0; z < std::uint64_t{11} << 32; z += 123456789) {
    const double want = std::exp2(40 - static_cast<double>(z) * 0x1p-32);
    worst = std::max(worst, std::fabs(static_cast<double>(rwkv7::detail::power_of_half(z)) / want - 1));
  }
  CHECK(worst <= 0x1p-29);
  CHECK(rwkv7::detail::power_of_half(0) == std::uint64_t{1} << 40);
  CHECK(rwkv7::detail::power_of_half(std::uint64_t{40} << 32) == 1);
  CHECK(rwkv7::detail::power_of_half((std::uint64_t{40} << 32) + 1000) == 0);
  CHECK(rwkv7::detail::power_of_half(~std::uint64_t{0}) == 0);
}

TEST_CASE("penalties follow the formula") {
  constexpr std::size_t vocabulary = 60, steps = 400;
  for (const sampler_settings& s : {sampler_settings{.presence_penalty = 0.7f},
                                    {.frequency_penalty = 0.3f},
                                    {.presence_penalty = -0.2f, .frequency_penalty = 0.5f, .penalty_decay = 0.9f},
                                    {.presence_penalty = 0.4f, .frequency_penalty = 1.5f, .penalty_decay = 0}}) {
    CAPTURE(s.penalty_decay);
    sampler choose(vocabulary, s);
    std::vector<std::size_t> history;
    int clear = 0, changed = 0;
    for (std::size_t step = 0; step < steps; ++step) {
      const logits x = pattern("step " + std::to_string(step), vocabulary, 0, 2);
      std::vector<double> want(x.begin(), x.end());
      for (std::size_t i = 0; i < vocabulary; ++i) {
        double count = 0;
        bool present = false;
        for (std::size_t at = 0; at < history.size(); ++at)
          if (history[at] == i) {
            present = true;
            count += std::pow(static_cast<double>(s.penalty_decay), static_cast<double>(history.size() - 1 - at));
          }
        if (present)
          want[i] -= static_cast<double>(s.presence_penalty) + static_cast<double>(s.frequency_penalty) * count;
      }
      const auto got = static_cast<std::size_t>(choose.sample(x));
      auto sorted = want;
      std::sort(sorted.begin(), sorted.end());
      if (sorted[vocabulary - 1] - sorted[vocabulary - 2] > 1e-4) {  // counts are floats: near a tie either may win
        CHECK(want[got] == sorted.back());
        ++clear;
      }
      changed += x[got] < *std::max_element(x.begin(), x.end());
      history.push_back(got);
    }
    CHECK(clear > 350);
    CHECK(changed > 20);
  }
}

TEST_CASE("penalties count in draws as they do in greedy") {
  sampler choose(2, {.temperature = 1, .frequency_penalty = 100});
  const logits x = {0, 0};
  std::int32_t before = choose.sample(x);
  for (int i = 0; i < 20; ++i) {  // whichever came more often is 100 behind
    const std::int32_t token = choose.sample(x);
    if (i % 2 == 0) CHECK(token != before);
    before = token;
  }
}

TEST_CASE("one seed, one text; another seed, another") {
  const logits x = pattern("seeded", 500, 0, 3);
  sampler_settings s{.temperature = 0.9f, .top_p = 0.95f, .presence_penalty = 0.1f, .frequency_penalty = 0.1f};
  s.penalty_decay = 0.99f;
  const auto want = draws(x, s, 100);
  CHECK(draws(x, s, 100) == want);
  s.seed = 1;
  CHECK(draws(x, s, 100) != want);
}

TEST_CASE("the text of a seed never changes, on any machine") {
  const logits x = pattern("seeded", 500, 0, 3);
  sampler_settings s{.temperature = 0.9f, .top_p = 0.95f, .presence_penalty = 0.1f, .frequency_penalty = 0.1f};
  s.penalty_decay = 0.99f, s.seed = 7;
  // Also what floating-point probabilities give: no draw falls so near a boundary that their rounding shows.
  const std::vector<std::int32_t> want = {32, 466, 69, 140, 126, 152, 212, 281, 35, 32, 293, 233, 206, 79, 244, 441};
  CHECK(draws(x, s, want.size()) == want);
}

TEST_CASE("a copy continues as the original would") {
  const logits x = pattern("copied", 50, 0, 1);
  auto one = sampler_for(x, {.temperature = 1, .frequency_penalty = 0.5f});
  for (int i = 0; i < 10; ++i) one.sample(x);
  auto other = one;
  for (int i = 0; i < 10; ++i) CHECK(one.sample(x) == other.sample(x));
}

TEST_CASE("bad settings are refused, and validate says the same") {
  CHECK(complaint({.temperature = -1}) == "rwkv7::sampler: temperature: got -1, want 0 (greedy) or more");
  CHECK(complaint({.temperature = infinity}) == "rwkv7::sampler: temperature: got inf, want 0 (greedy) or more");
  CHECK(complaint({.temperature = not_a_number}) == "rwkv7::sampler: temperature: got nan, want 0 (greedy) or more");
  CHECK(complaint({.top_p = 0}) == "rwkv7::sampler: top_p: got 0, want more than 0 and at most 1");
  CHECK(complaint({.top_p = 1.5f}) == "rwkv7::sampler: top_p: got 1.5, want more than 0 and at most 1");
  CHECK(complaint({.top_p = not_a_number}) == "rwkv7::sampler: top_p: got nan, want more than 0 and at most 1");
  CHECK(complaint({.top_k = -1}) == "rwkv7::sampler: top_k: got -1, want 0 (all) or more");
  CHECK(complaint({.presence_penalty = infinity}) == "rwkv7::sampler: presence_penalty: got inf, want a finite number");
  CHECK(complaint({.frequency_penalty = not_a_number}) ==
        "rwkv7::sampler: frequency_penalty: got nan, want a finite number");
  CHECK(complaint({.penalty_decay = -0.1f}) == "rwkv7::sampler: penalty_decay: got -0.1, want 0 to 1");
  CHECK(complaint({.penalty_decay = 1.1f}) == "rwkv7::sampler: penalty_decay: got 1.1, want 0 to 1");
  CHECK(complaint({}) == "");
  CHECK(reported([] { sampler(0); }) == "rwkv7::sampler: vocabulary: got 0, want 1 to 8388608");
  CHECK(reported([] { sampler(8388609); }) == "rwkv7::sampler: vocabulary: got 8388609, want 1 to 8388608");
}

TEST_CASE("logits that cannot be chosen from are refused, and the sampler is as before") {
  const logits good = {1, 2, 3};
  const sampler_settings s{.temperature = 1, .frequency_penalty = 1, .seed = 5};
  auto choose = sampler_for(good, s), want = sampler_for(good, s);
  for (int i = 0; i < 10; ++i) {
    const auto refused = [&](const logits& bad) {
      std::int32_t token = -1;
      const auto text = reported([&] { token = choose.sample(bad); });
      CHECK(token == -1);
      return text;
    };
    CHECK(refused({1, 2}) == "rwkv7::sampler: logits: got 2, want 3");
    CHECK(refused({}) == "rwkv7::sampler: logits: got 0, want 3");
    CHECK(refused({1, not_a_number, 9}) == "rwkv7::sampler: logits[1]: got NaN");
    CHECK(refused({-infinity, -infinity, -infinity}) ==
          "rwkv7::sampler: logits: got -inf everywhere, want a token that may be chosen");
    CHECK(choose.sample(good) == want.sample(good));
  }
}

TEST_CASE("splitmix64 gives the published numbers") {
  rwkv7::splitmix64 random(1234567);
  for (const std::uint64_t want :
       {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u, 16408922859458223821u})
    CHECK(random() == want);
}

TEST_CASE("numbers below a bound are uniform, also where the bound is far from a power of two") {
  for (const std::uint64_t bound : {2u, 3u, 5u, 8u, 9u}) {
    CAPTURE(bound);
    rwkv7::splitmix64 random(bound);
    std::vector<std::int32_t> drawn(100000);
    for (auto& x : drawn) x = static_cast<std::int32_t>(random.below(bound));
    check_frequencies(drawn, std::vector<double>(bound, 1 / static_cast<double>(bound)));
  }
}
