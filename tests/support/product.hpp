// SPDX-License-Identifier: MIT
/// The product with a matrix, written down once more for the tests of linear.
#pragma once

#include "support/tokenwise.hpp"

namespace rwkv7_test {

/// Σ_n x[r][n] weight(o, n) for all rows r and outputs o of a problem: in long double, the last input first.
template <class Weight>
outputs<double> product_of(const problem& p, const std::vector<float>& x, const Weight& weight) {
  std::vector<double> y;
  for (index_t i = 0; i < p.B * p.T * p.out; ++i) {
    long double sum = 0;
    for (index_t n = p.N; n-- > 0;)
      sum += static_cast<long double>(weight(i % p.out, n)) * x[static_cast<std::size_t>(i / p.out * p.N + n)];
    y.push_back(static_cast<double>(sum));
  }
  return {y};
}

}  // namespace rwkv7_test
