// SPDX-License-Identifier: MIT
/// From logits to the next token. One seed gives one text on every platform: what is drawn from are integers, computed
/// without the standard library's exp and distributions, which differ between libraries.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "rwkv7/core/check.hpp"

namespace rwkv7 {

/// How a sampler chooses.
struct sampler_settings {
  float temperature = 0;        // 0: greedy
  float top_p = 1;              // (0, 1]; 1: off
  index_t top_k = 0;            // 0: off
  float presence_penalty = 0;   // off every token generated before
  float frequency_penalty = 0;  // off a token for each time it was generated
  float penalty_decay = 1;      // [0, 1]; what such a time still counts one token later
  std::uint64_t seed = 0;       // of the random numbers; not used when greedy
};

/// What is wrong with the settings of a sampler, or nothing.
inline diagnosis validate_sampler(const sampler_settings& s) noexcept {
  diagnosis problem;
  const auto want = [&](bool good, const char* name, float got, const char* what) {
    if (!good) problem.complain("rwkv7::sampler: %s: got %g, want %s", name, static_cast<double>(got), what);
  };
  const auto finite = [](float x) { return std::isfinite(x); };
  want(finite(s.temperature) && s.temperature >= 0, "temperature", s.temperature, "0 (greedy) or more");
  want(s.top_p > 0 && s.top_p <= 1, "top_p", s.top_p, "more than 0 and at most 1");
  if (s.top_k < 0)
    problem.complain("rwkv7::sampler: top_k: got %lld, want 0 (all) or more", static_cast<long long>(s.top_k));
  want(finite(s.presence_penalty), "presence_penalty", s.presence_penalty, "a finite number");
  want(finite(s.frequency_penalty), "frequency_penalty", s.frequency_penalty, "a finite number");
  want(s.penalty_decay >= 0 && s.penalty_decay <= 1, "penalty_decay", s.penalty_decay, "0 to 1");
  return problem;
}

/// SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, which is also the seed; any seed is as good as another.
class splitmix64 {
 public:
  /// Any seed.
  explicit constexpr splitmix64(std::uint64_t seed) noexcept : state_(seed) {}

  /// The next 64 random bits.
  constexpr std::uint64_t operator()() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Uniform on [0, bound), exactly: what is too large is drawn again. bound ≥ 2.
  constexpr std::uint64_t below(std::uint64_t bound) noexcept {
    const int unused = std::countl_zero(bound - 1);
    for (std::uint64_t x;;)
      if (x = (*this)() >> unused; x < bound) return x;
  }

 private:
  std::uint64_t state_;
};

namespace detail {

/// 2^(40 - z / 2^32) in integers, 0 below 1; relative error at most 2^-29 while the result is at least 2^29.
constexpr std::uint64_t power_of_half(std::uint64_t z) noexcept {
  constexpr std::uint64_t one = std::uint64_t{1} << 32;
  constexpr std::uint64_t ln2 = 2977044472;  // all fractions here are in units of 2^-32
  if (z >= 41 * one) return 0;
  const std::uint64_t x = (z % one) * ln2 >> 32;
  // exp(-x) = 1 - x/1 (1 - x/2 (1 - x/3 (…))); the first term left out is below 2^-35.
  std::uint64_t sum = one;
  for (std::uint64_t i = 11; i > 0; --i) sum = one - (x * sum >> 32) * (one / i) / one;
  return (sum << 8) >> (z / one);
}

}  // namespace detail

/// Chooses tokens, and remembers those it chose. A value: a copy continues as the original would.
///
///   x_i = logits_i - (presence_penalty + frequency_penalty Σ penalty_decay^age  if i was chosen before)
///                                                     age: tokens since, 0 for the latest; the sum over all times
///   temperature 0:  the largest x_i, of equal ones the first; top_p, top_k and seed could not change that
///   otherwise:      p = softmax(x)
///                   keep the top_k most probable, and of those the fewest whose p reach top_p together
///                   draw token i with probability proportional to p_i^(1 / temperature)
///
/// This is the order of RWKV-LM, so that settings found with its models mean the same here; others apply the
/// temperature before top_p. Of equally probable tokens the first comes first. Tokens less probable than 2^-40 of the
/// best are never drawn; other probabilities are right to 2^-29 of their own or 2^-40 of the best.
class sampler {
 public:
  /// For `vocabulary` logits. rwkv7::error for what validate_sampler says. Allocates all that it ever needs: 28 bytes
  /// per token.
  explicit sampler(index_t vocabulary, const sampler_settings& settings = {}) : settings_(settings) {
    auto problem = validate_sampler(settings);
    if (vocabulary < 1 || vocabulary > most_tokens)
      problem.complain("rwkv7::sampler: vocabulary: got %lld, want 1 to %lld", static_cast<long long>(vocabulary),
                       static_cast<long long>(most_tokens));
    const auto size = problem ? 0 : static_cast<std::size_t>(vocabulary);
    if (problem) report(problem);
    score_.resize(size), weight_.resize(size), order_.resize(size), count_.resize(size, never);
  }

  /// The next token. -inf forbids a token; +inf shares all probability among those that have it.
  ///
  /// Errors: rwkv7::error for another number of logits, for NaN, and when all are -inf; nothing is chosen then, and the
  /// sampler is as before. Where exceptions are off the result is then -1. Allocates nothing.
  std::int32_t sample(std::span<const float> logits) {
    diagnosis problem;
    if (logits.empty() || logits.size() != score_.size())
      problem.complain("rwkv7::sampler: logits: got %llu, want %llu", static_cast<unsigned long long>(logits.size()),
                       static_cast<unsigned long long>(score_.size()));
    std::int32_t best = -1;
    for (std::size_t i = 0; i < logits.size() && !problem; ++i) {
      if (std::isnan(logits[i]))
        problem.complain("rwkv7::sampler: logits[%llu]: got NaN", static_cast<unsigned long long>(i));
      score_[i] = penalised(logits[i], count_[i]);
      if (score_[i] > (best < 0 ? forbidden : score(best))) best = static_cast<std::int32_t>(i);
    }
    if (best < 0) problem.complain("rwkv7::sampler: logits: got -inf everywhere, want a token that may be chosen");
    if (problem) {
      report(problem);
      return -1;
    }
    const std::int32_t token = settings_.temperature == 0 ? best : draw(score(best));
    remember(token);
    return token;
  }

 private:
  static constexpr index_t most_tokens = index_t{1} << 23;  // so that the sum of all weights stays below 2^64
  static constexpr float never = -1;
  static constexpr double forbidden = -std::numeric_limits<double>::infinity();

  double score(std::int32_t i) const noexcept { return score_[static_cast<std::size_t>(i)]; }

  /// The product of two floats is exact in double: a contracted multiply-add gives the same bits.
  double penalised(float logit, float count) const noexcept {
    const auto x = static_cast<double>(logit);
    if (count == never) return x;
    return x - static_cast<double>(settings_.presence_penalty) -
           static_cast<double>(settings_.frequency_penalty) * static_cast<double>(count);
  }

  void remember(std::int32_t token) noexcept {
    for (float& count : count_)
      if (count != never)
        count = static_cast<float>(static_cast<double>(count) * static_cast<double>(settings_.penalty_decay));
    float& count = count_[static_cast<std::size_t>(token)];
    count = (count == never ? 0 : count) + 1;
  }

  /// exp((x_i - top) / temperature) in units of 2^-40.
  std::uint64_t weight(std::int32_t i, double top, float temperature) const noexcept {
    const double scale = 0x1.71547652b82fep+32 / static_cast<double>(temperature);  // 2^32 log2(e) / temperature
    const double z = score(i) == top ? 0 : (top - score(i)) * scale;
    return z < 0x1p38 ? detail::power_of_half(static_cast<std::uint64_t>(z)) : 0;
  }

  std::int32_t draw(double top) {
    std::iota(order_.begin(), order_.end(), 0);
    const auto kept = most_probable(top);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) sum += weight_[i] = weight(kept[i], top, settings_.temperature);
    std::uint64_t at = random_.below(sum);  // the best token alone weighs 2^40
    std::size_t i = 0;
    while (at >= weight_[i]) at -= weight_[i++];
    return kept[i];
  }

  /// What top_k and top_p leave of order_. A heap, because they mostly leave a few of many.
  std::span<const std::int32_t> most_probable(double top) {
    const std::size_t size = order_.size();
    const auto k = static_cast<std::uint64_t>(settings_.top_k);
    const std::size_t limit = k > 0 && k < size ? static_cast<std::size_t>(k) : size;
    if (limit == size && settings_.top_p == 1) return order_;
    double enough = std::numeric_limits<double>::infinity();
    if (settings_.top_p < 1) {
      std::uint64_t all = 0;
      for (const std::int32_t i : order_) all += weight(i, top, 1);
      enough = static_cast<double>(settings_.top_p) * static_cast<double>(all);
    }
    const auto less = [&](std::int32_t a, std::int32_t b) {
      return score(a) == score(b) ? a > b : score(a) < score(b);
    };
    std::make_heap(order_.begin(), order_.end(), less);
    auto first = order_.end();  // the kept ones gather at the end
    std::uint64_t mass = 0;
    for (std::size_t n = 0; n < limit && static_cast<double>(mass) < enough; ++n) {
      std::pop_heap(order_.begin(), first, less);
      mass += weight(*--first, top, 1);
    }
    return {first, order_.end()};
  }

  sampler_settings settings_;
  splitmix64 random_{settings_.seed};
  std::vector<double> score_;
  std::vector<std::uint64_t> weight_;
  std::vector<std::int32_t> order_;
  std::vector<float> count_;
};

}  // namespace rwkv7
