// SPDX-License-Identifier: MIT
/// Scores of a text: by the formula, and as the program perplexity prints them.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <regex>
#include <span>
#include <string>
#include <vector>

#include "support/program.hpp"
#include "support/safetensors_writer.hpp"

namespace rwkv7_test {

struct score {
  long double bits = 0;
  std::size_t tokens = 0, bytes = 0;

  /// The token that followed these logits: minus the binary logarithm of its softmax.
  void add(std::span<const double> logits, std::int32_t token, std::size_t size) {
    // Sums of exp(x - own logit) overflow a long double only for differences above 11000.
    long double sum = 0;
    for (const double x : logits)
      sum += std::exp(static_cast<long double>(x) - static_cast<long double>(logits[static_cast<std::size_t>(token)]));
    bits += std::log2(sum);
    ++tokens;
    bytes += size;
  }
};

/// What the program printed.
struct printed_score {
  double bits_per_byte = 0, bits_per_token = 0, perplexity = 0;
  std::size_t tokens = 0, bytes = 0;

  void check(const score& want, double tolerance) const {
    const auto near = [&](double got, long double wanted) {
      CHECK(std::isfinite(wanted));
      CAPTURE(got);
      CAPTURE(static_cast<double>(wanted));
      CHECK(std::fabs(got - static_cast<double>(wanted)) <= tolerance * static_cast<double>(wanted));
    };
    CHECK(tokens == want.tokens);
    CHECK(bytes == want.bytes);
    near(bits_per_byte, want.bits / static_cast<long double>(want.bytes));
    near(bits_per_token, want.bits / static_cast<long double>(want.tokens));
    const long double exponent = want.bits / static_cast<long double>(want.tokens);
    if (exponent < 30) near(perplexity, std::exp2(exponent));  // an error of the exponent is multiplied by it
  }
};

/// perplexity succeeds, with one line on either stream.
inline printed_score perplexity_of(std::vector<std::string> arguments, const temporary_file& text,
                                   const std::vector<std::string>& more) {
  arguments.push_back(text.path().string());
  arguments.insert(arguments.end(), more.begin(), more.end());
  const auto run = run_example("perplexity", arguments);
  CHECK(run.status == 0);
  CHECK(std::regex_match(run.err, std::regex("text: [0-9]+ tokens, [0-9.]+ tokens/s\n")));
  const std::regex line(
      "([0-9.e+]+) bits per byte, ([0-9.e+]+) bits per token, perplexity ([0-9.e+]+|inf); ([0-9]+) tokens, "
      "([0-9]+) bytes\n");
  std::smatch parts;
  CHECK(std::regex_match(run.out, parts, line));
  if (parts.size() != 6) return {};
  return {std::stod(parts[1]), std::stod(parts[2]), std::stod(parts[3]), std::stoul(parts[4]), std::stoul(parts[5])};
}

}  // namespace rwkv7_test
