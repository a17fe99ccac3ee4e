// SPDX-License-Identifier: MIT
#include "rwkv7/backend/reference/element.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>

using rwkv7::bf16;
using rwkv7::f16;
using rwkv7::backend::reference::rounded;

TEST_CASE_TEMPLATE("a double is rounded once: what is nearly a tie goes to its own side", T, bf16, f16) {
  const int infinite = T::from_float(std::numeric_limits<float>::infinity()).bits;
  int wrong = 0;
  for (int b = 0; b + 1 < infinite; ++b)
    for (const int sign : {0, 0x8000}) {
      const auto value = [&](int bits) { return static_cast<double>(T{static_cast<std::uint16_t>(bits | sign)}); };
      const double low = value(b), high = value(b + 1), tie = (low + high) / 2;
      const auto bits = [](double x) { return static_cast<int>(rounded<T>(x).bits); };
      wrong += bits(low) != (b | sign);
      wrong += bits(tie) != ((b % 2 == 0 ? b : b + 1) | sign);
      wrong += bits(tie * (1 + 0x1p-45)) != ((b + 1) | sign);  // no float lies between the tie and this
      wrong += bits(tie * (1 - 0x1p-45)) != (b | sign);
    }
  CHECK(wrong == 0);
  CHECK(rounded<T>(1e300).bits == infinite);
  CHECK(rounded<T>(-1e300).bits == (infinite | 0x8000));
  CHECK(rounded<T>(1e-300).bits == 0);
  CHECK(rounded<T>(-1e-300).bits == 0x8000);
  CHECK(std::isnan(static_cast<double>(rounded<T>(std::nan("")))));
}

TEST_CASE("floats and doubles are what a cast gives") {
  CHECK(rounded<double>(0.1) == 0.1);
  CHECK(rounded<float>(0.1) == 0.1f);
}
