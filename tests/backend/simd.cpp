// SPDX-License-Identifier: MIT
#include "rwkv7/backend/cpu/simd.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "support/architectures.hpp"
#include "support/guard_pages.hpp"
#include "support/strided.hpp"

namespace cpu = rwkv7::backend::cpu;
using rwkv7::bf16;
using rwkv7::f16;
using rwkv7::index_t;
using rwkv7_test::for_each_architecture;
using rwkv7_test::guard;
using rwkv7_test::guarded_memory;

namespace {

constexpr index_t most_lanes = 16;

template <class Arch>
std::vector<float> elements(const cpu::vec<Arch>& v) {
  std::vector<float> e(static_cast<std::size_t>(cpu::lanes<Arch>));
  cpu::store<Arch>(e.data(), v);
  return e;
}

/// 1, 2, 3 …
template <class Arch>
cpu::vec<Arch> counted() {
  float e[most_lanes];
  for (index_t i = 0; i < most_lanes; ++i) e[i] = static_cast<float>(i + 1);
  return cpu::load<Arch>(static_cast<const float*>(e));
}

template <class Arch>
constexpr bool has_fma = std::is_base_of_v<xsimd::avx512f, Arch> || std::is_same_v<Arch, xsimd::fma3<xsimd::avx2>>;

}  // namespace

TEST_CASE_TEMPLATE("a register of 16-bit values is what the scalar conversion says, for all 65536 and in every lane", T,
                   bf16, f16) {
  for_each_architecture([]<class Arch>(Arch) {
    constexpr index_t W = cpu::lanes<Arch>;
    std::vector<T> all(65536 + static_cast<std::size_t>(W));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = T{static_cast<std::uint16_t>(i)};
    int wrong = 0;
    for (index_t first = 0; first < 65536; ++first) {  // also at every alignment
      float got[most_lanes];
      cpu::store<Arch>(got, cpu::load<Arch>(all.data() + first));
      for (const index_t lane : {index_t{0}, first % W, W - 1}) {
        const float want = all[static_cast<std::size_t>(first + lane)].to_float();
        // A processor may quieten a NaN; everything else is the same to the bit.
        wrong += std::isnan(want) ? !std::isnan(got[lane])
                                  : std::bit_cast<std::uint32_t>(got[lane]) != std::bit_cast<std::uint32_t>(want);
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE_TEMPLATE(
    "a store of 16-bit values gives the bits of from_float: ties, subnormals, infinities, every kind of NaN", T, bf16,
    f16) {
  std::vector<float> all;
  const auto add = [&](std::uint32_t bits) {
    for (const std::uint32_t near : {bits - 1, bits, bits + 1})
      for (const std::uint32_t sign : {0u, 0x80000000u}) all.push_back(std::bit_cast<float>(near ^ sign));
  };
  for (std::uint32_t high = 0; high < 0x8000; ++high)  // around each bf16, each f16, and the ties between them
    for (const std::uint32_t low : {0u, 0x8000u, 0x1000u, 0x2000u, 0x3000u, 0xf000u}) add(high << 16 | low);
  for (std::uint32_t i = 0; i < 100000; ++i) add(i * 2654435761u);
  for_each_architecture([&]<class Arch>(Arch) {
    constexpr auto W = static_cast<std::size_t>(cpu::lanes<Arch>);
    int wrong = 0;
    for (std::size_t first = 0; first + W <= all.size(); first += W) {
      T got[W], few[W];
      const auto v = cpu::load<Arch>(all.data() + first);
      cpu::store<Arch>(got, v);
      cpu::store_first<Arch>(few, v, 1);
      for (std::size_t i = 0; i < W; ++i) wrong += got[i].bits != T::from_float(all[first + i]).bits;
      wrong += few[0].bits != got[0].bits;
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE_TEMPLATE("one element in every lane", T, float, bf16, f16) {
  for_each_architecture([]<class Arch>(Arch) {
    for (std::uint32_t i = 0; i < 65536; i += 7) {
      const T x = rwkv7_test::element<T>(std::bit_cast<float>(i << 16));
      for (const float lane : elements<Arch>(cpu::broadcast<Arch>(&x)))
        CHECK((lane == static_cast<float>(x) || (std::isnan(lane) && std::isnan(static_cast<float>(x)))));
    }
  });
}

TEST_CASE("registers of double: their arithmetic, and loads of every type") {
  for_each_architecture([]<class Arch>(Arch) {
    using D = cpu::in_double<Arch>;
    constexpr auto W = static_cast<std::size_t>(cpu::lanes<D>);
    double numbers[W];
    for (std::size_t i = 0; i < W; ++i) numbers[i] = 1 + 0x1p-30 * static_cast<double>(i);
    const auto v = cpu::load<D>(static_cast<const double*>(numbers));
    double sum = 0, got[W];
    for (std::size_t half = W / 2; half > 0; half /= 2) {
      if (half == W / 2) std::copy_n(numbers, W, got);
      for (std::size_t i = 0; i < half; ++i) got[i] += got[i + half];
    }
    sum = got[0];
    CHECK(cpu::reduce_add<D>(v) == sum);
    cpu::store<D>(got, cpu::fma<D>(v, v, -(v * v)));
    for (std::size_t i = 0; i < W && has_fma<Arch>; ++i)
      CHECK(got[i] == std::fma(numbers[i], numbers[i], -(numbers[i] * numbers[i])));
    const auto same = [&](auto zero) {
      using T = decltype(zero);
      T from[W];
      for (std::size_t i = 0; i < W; ++i) from[i] = rwkv7_test::element<T>(static_cast<float>(i) + 0.375f);
      cpu::store<D>(got, cpu::load<D>(static_cast<const T*>(from)));
      for (std::size_t i = 0; i < W; ++i) CHECK(got[i] == static_cast<double>(i) + 0.375);
    };
    same(float{}), same(bf16{}), same(f16{});
  });
}

TEST_CASE_TEMPLATE("load_first gives n elements and zeros behind them, and reads nothing beyond", T, float, bf16, f16) {
  for_each_architecture([]<class Arch>(Arch) {
    constexpr index_t W = cpu::lanes<Arch>;
    for (const guard where : {guard::before, guard::after})
      for (index_t n = 0; n < W; ++n) {
        guarded_memory memory(where);
        T* p = memory.allocate_array<T>(static_cast<std::size_t>(n));
        for (index_t i = 0; i < n; ++i) p[i] = rwkv7_test::element<T>(static_cast<float>(i + 1));
        const auto got = elements<Arch>(cpu::load_first<Arch>(static_cast<const T*>(p), n));
        for (index_t i = 0; i < W; ++i)
          CHECK(got[static_cast<std::size_t>(i)] == (i < n ? static_cast<float>(i + 1) : 0.0f));
      }
  });
}

TEST_CASE("store_first writes n elements and nothing beyond") {
  for_each_architecture([]<class Arch>(Arch) {
    constexpr index_t W = cpu::lanes<Arch>;
    for (const guard where : {guard::before, guard::after})
      for (index_t n = 0; n < W; ++n) {
        guarded_memory memory(where);
        float* p = memory.allocate_array<float>(static_cast<std::size_t>(n));
        cpu::store_first<Arch>(p, counted<Arch>(), n);
        for (index_t i = 0; i < n; ++i) CHECK(p[i] == static_cast<float>(i + 1));
      }
    float kept[2 * most_lanes];  // and nothing beyond where writing would be allowed
    for (float& x : kept) x = -1;
    cpu::store_first<Arch>(kept, counted<Arch>(), W - 1);
    for (index_t i = W - 1; i < 2 * most_lanes; ++i) CHECK(kept[i] == -1);
  });
}

TEST_CASE_TEMPLATE("whole registers are read and written at the end of memory", T, float, bf16, f16) {
  for_each_architecture([]<class Arch>(Arch) {
    constexpr index_t W = cpu::lanes<Arch>;
    for (const guard where : {guard::before, guard::after}) {
      guarded_memory memory(where);
      T* p = memory.allocate_array<T>(static_cast<std::size_t>(W));
      for (index_t i = 0; i < W; ++i) p[i] = rwkv7_test::element<T>(static_cast<float>(i + 1));
      float* y = memory.allocate_array<float>(static_cast<std::size_t>(W));
      cpu::store<Arch>(y, cpu::load<Arch>(static_cast<const T*>(p)));
      for (index_t i = 0; i < W; ++i) CHECK(y[i] == static_cast<float>(i + 1));
    }
  });
}

TEST_CASE("fma rounds once where the processor has one") {
  for_each_architecture([]<class Arch>(Arch) {
    using V = cpu::vec<Arch>;
    // (1 + 2^-12)² = 1 + 2^-11 + 2^-24: the last term is half a unit, which rounding the product would drop.
    const float a = 1.0f + 0x1p-12f, product = 1.0f + 0x1p-11f;
    const auto got = elements<Arch>(cpu::fma<Arch>(V(a), V(a), V(-product)));
    for (const float x : got) {
      if (has_fma<Arch>) CHECK(x == 0x1p-24f);
      CHECK((x == 0x1p-24f || x == 0.0f));
    }
    // 2 · 3 + 4, each lane its own.
    const auto sums = elements<Arch>(cpu::fma<Arch>(counted<Arch>(), V(3.0f), V(4.0f)));
    for (std::size_t i = 0; i < sums.size(); ++i) CHECK(sums[i] == static_cast<float>(3 * (i + 1) + 4));
  });
}

TEST_CASE("reduce_add adds every lane once") {
  for_each_architecture([]<class Arch>(Arch) {
    constexpr index_t W = cpu::lanes<Arch>;
    CHECK(cpu::reduce_add<Arch>(counted<Arch>()) == static_cast<float>(W * (W + 1) / 2));
    for (index_t lane = 0; lane < W; ++lane) {
      float e[most_lanes] = {};
      e[lane] = 1;
      CHECK(cpu::reduce_add<Arch>(cpu::load<Arch>(static_cast<const float*>(e))) == 1.0f);
    }
  });
}

TEST_CASE("the bits of a register can be seen as integers and back") {
  for_each_architecture([]<class Arch>(Arch) {
    using I = cpu::ivec<Arch>;
    CHECK(elements<Arch>(cpu::as_float<Arch>(I(0x3f800000)))[0] == 1.0f);
    CHECK(elements<Arch>(cpu::as_float<Arch>(cpu::as_int<Arch>(counted<Arch>()))) == elements<Arch>(counted<Arch>()));
    CHECK(elements<Arch>(cpu::as_float<Arch>(cpu::as_int<Arch>(cpu::vec<Arch>(1.0f)) + I(1)))[0] ==
          std::nextafter(1.0f, 2.0f));
  });
}

TEST_CASE("pin keeps the value") {
  for_each_architecture([]<class Arch>(Arch) {
    auto v = counted<Arch>();
    cpu::pin<Arch>(v);
    CHECK(elements<Arch>(v) == elements<Arch>(counted<Arch>()));
  });
}

TEST_CASE("for_lanes visits every element once, for every length, and stays inside") {
  for_each_architecture([]<class Arch>(Arch) {
    for (const guard where : {guard::before, guard::after})
      for (index_t n = 0; n <= 3 * most_lanes + 1; ++n) {
        guarded_memory memory(where);
        float* p = memory.allocate_array<float>(static_cast<std::size_t>(n));
        cpu::for_lanes<Arch>(n, [&](auto at) { at.store(p, at.load(static_cast<const float*>(p)) + 1.0f); });
        for (index_t i = 0; i < n; ++i) CHECK(p[i] == 1.0f);
      }
  });
}

TEST_CASE("keep zeroes the lanes that hold no element") {
  for_each_architecture([]<class Arch>(Arch) {
    for (index_t n = 0; n <= 2 * most_lanes + 1; ++n) {
      cpu::vec<Arch> sum(0.0f);
      cpu::for_lanes<Arch>(n, [&](auto at) { sum += at.keep(cpu::vec<Arch>(1.0f)); });
      CHECK(cpu::reduce_add<Arch>(sum) == static_cast<float>(n));
    }
  });
}
