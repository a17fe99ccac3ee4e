// SPDX-License-Identifier: MIT
#include "rwkv7/backend/cpu/params.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "support/architectures.hpp"
#include "support/strided.hpp"

namespace cpu = rwkv7::backend::cpu;
using rwkv7::index_t;
using rwkv7_test::for_each_architecture;

namespace {

template <class T>
std::vector<T> counted(index_t n) {
  std::vector<T> v(static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) v[static_cast<std::size_t>(i)] = rwkv7_test::element<T>(static_cast<float>(i));
  return v;
}

/// All n elements, read a register at a time.
template <class Arch>
std::vector<float> read(const cpu::param& p, index_t n) {
  std::vector<float> y(static_cast<std::size_t>(n), -1.0f);
  cpu::for_lanes<Arch>(n, [&](auto at) { at.store(y.data(), p.load(at)); });
  return y;
}

}  // namespace

TEST_CASE_TEMPLATE("a parameter reads as floats whatever it is stored in", T, float, rwkv7::bf16, rwkv7::f16) {
  for_each_architecture([]<class Arch>(Arch) {
    for (const index_t n : {1, 7, 16, 33}) {
      const auto memory = counted<T>(n);
      const rwkv7::weights<1> w(memory.data(), rwkv7::dtype_of<T>, {n});
      CHECK(read<Arch>(cpu::param(w), n) == counted<float>(n));
    }
  });
}

TEST_CASE_TEMPLATE("from moves the start by elements of the stored type", T, float, rwkv7::bf16, rwkv7::f16) {
  for_each_architecture([]<class Arch>(Arch) {
    const auto memory = counted<T>(40);
    const rwkv7::weights<1> w(memory.data(), rwkv7::dtype_of<T>, {40});
    CHECK(read<Arch>(cpu::param(w).from(13), 1)[0] == 13.0f);
    CHECK(read<Arch>(cpu::param(w).from(20).from(-3), 20)[19] == 36.0f);
  });
}

TEST_CASE_TEMPLATE("a row of a matrix follows the stride of the rows", T, float, rwkv7::bf16, rwkv7::f16) {
  for_each_architecture([]<class Arch>(Arch) {
    const auto memory = counted<T>(100);
    const rwkv7::weights<2> padded = rwkv7::view<const T, 2>(memory.data() + 2, {4, 20}, {24, 1});
    CHECK(read<Arch>(cpu::param(padded, 3), 20)[0] == 74.0f);
    CHECK(read<Arch>(cpu::param(padded, 3), 20)[19] == 93.0f);
  });
}
