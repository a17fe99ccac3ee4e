// SPDX-License-Identifier: MIT
#include "rwkv7/core/overlap.hpp"

#include <doctest/doctest.h>

#include <bitset>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

using rwkv7::index_t;
using rwkv7::overlap;
using rwkv7::view;

namespace {

// Nothing here is read or written, only addresses are compared; the small views move about in the middle of this array.
constexpr index_t arena_bytes = 4096;
alignas(64) std::byte arena[arena_bytes];
using byte_set = std::bitset<arena_bytes>;

template <class T, int Rank>
void mark(const view<T, Rank>& v, byte_set& bytes) {
  if constexpr (Rank == 1) {
    for (index_t i = 0; i < v.extent(0); ++i) {
      const auto first = reinterpret_cast<const std::byte*>(v.at(i)) - arena;
      for (std::size_t b = 0; b < sizeof(T); ++b) bytes.set(static_cast<std::size_t>(first) + b);
    }
  } else {
    for (index_t i = 0; i < v.extent(0); ++i) mark(v[i], bytes);
  }
}

/// The definition: the sets of bytes have one in common.
template <class T, int R1, class U, int R2>
bool shares_a_byte(const view<T, R1>& x, const view<U, R2>& y) {
  byte_set a, b;
  mark(x, a);
  mark(y, b);
  return (a & b).any();
}

class random_views {
 public:
  template <class T, int Rank>
  view<T, Rank> next(int longest_stride) {
    typename view<T, Rank>::index_array extents{}, strides{};
    for (std::size_t a = 0; a < std::size_t(Rank); ++a) {
      extents[a] = one_in(15) ? 0 : 1 + below(4);
      strides[a] = one_in(10) ? 0 : below(2 * longest_stride + 1) - longest_stride;
    }
    return {reinterpret_cast<T*>(arena + arena_bytes / 2) + below(24) - 12, extents, strides};
  }

 private:
  int below(int n) { return static_cast<int>(engine_() % static_cast<unsigned>(n)); }
  bool one_in(int n) { return below(n) == 0; }
  std::minstd_rand engine_{7};
};

template <class T, class U, int R1, int R2>
void compare_with_definition() {
  random_views random;
  int overlapping = 0, wrong = 0;
  constexpr int trials = 6000;
  for (int i = 0; i < trials; ++i) {
    const int longest = i % 2 ? 6 : 20;
    const auto x = random.next<T, R1>(longest);
    const auto y = random.next<U, R2>(longest);
    const bool want = shares_a_byte(x, y);
    overlapping += want;
    wrong += overlap(x, y) != want || overlap(y, x) != want;
  }
  CHECK(wrong == 0);
  CHECK(overlapping > trials / 20);  // both answers were put to the test
  CHECK(overlapping < trials - trials / 20);
}

}  // namespace

TEST_CASE("overlap agrees with the sets of bytes of thousands of small strided views") {
  SUBCASE("rank 1 and 1") { compare_with_definition<float, float, 1, 1>(); }
  SUBCASE("rank 2 and 1") { compare_with_definition<float, float, 2, 1>(); }
  SUBCASE("rank 2 and 2") { compare_with_definition<float, const float, 2, 2>(); }
  SUBCASE("rank 3 and 3") { compare_with_definition<float, float, 3, 3>(); }
  SUBCASE("rank 4 and 4") { compare_with_definition<float, float, 4, 4>(); }
  SUBCASE("rank 4 and 2") { compare_with_definition<const float, float, 4, 2>(); }
}

TEST_CASE("overlap agrees with the sets of bytes where the elements have different sizes") {
  SUBCASE("4 and 2 bytes") { compare_with_definition<float, std::uint16_t, 2, 2>(); }
  SUBCASE("8 and 4 bytes") { compare_with_definition<double, float, 2, 3>(); }
  SUBCASE("2 and 8 bytes") { compare_with_definition<std::uint16_t, double, 3, 1>(); }
  SUBCASE("1 and 4 bytes") { compare_with_definition<char, float, 2, 2>(); }
}

TEST_CASE("an absent or empty tensor overlaps nothing, not even itself") {
  float x[4] = {};
  const view<float, 1> all(x, {4});
  CHECK(overlap(all, all));
  CHECK(!overlap(all, view<float, 2>{}));
  CHECK(!overlap(view<float, 1>(x, {0}), all));
  CHECK(!overlap(view<float, 1>(x, {0}), view<float, 1>(x, {0})));
}

TEST_CASE("neighbours do not overlap, one shared element does") {
  std::vector<float> x(100);
  CHECK(!overlap(view<float, 1>(x.data(), {50}), view<float, 1>(x.data() + 50, {50})));
  CHECK(overlap(view<float, 1>(x.data(), {51}), view<float, 1>(x.data() + 50, {50})));
  CHECK(!overlap(view<float, 1>(x.data() + 49, {50}, {-1}), view<float, 1>(x.data() + 50, {50})));
  CHECK(overlap(view<float, 1>(x.data() + 50, {50}, {-1}), view<float, 1>(x.data() + 50, {50})));
}

TEST_CASE("interleaved slices of one activation buffer are told apart at every size") {
  // [B, T, 6, H, N]: r w k v a b beside each other for every token, as a fused projection writes them.
  std::vector<std::byte> memory(1);
  for (const index_t T : {1, 7, 1000, 65536})
    for (const index_t H : {1, 12, 32}) {
      const index_t B = 8, N = 64, row = 6 * H * N;
      const auto operand = [&](index_t i) {
        return view<float, 4>(reinterpret_cast<float*>(memory.data()) + i * H * N, {B, T, H, N}, {T * row, row, N, 1});
      };
      for (index_t i = 0; i < 6; ++i)
        for (index_t j = 0; j < 6; ++j) {
          CAPTURE(i);
          CAPTURE(j);
          CHECK(overlap(operand(i), operand(j)) == (i == j));
          CHECK(overlap(reversed(operand(i), 1), operand(j)) == (i == j));
        }
    }
}

TEST_CASE("even and odd elements, rows and heads are told apart") {
  std::vector<float> x(64 * 64);
  const auto every_second = [&](index_t first) { return view<float, 1>(x.data() + first, {1000}, {2}); };
  CHECK(!overlap(every_second(0), every_second(1)));
  CHECK(overlap(every_second(0), every_second(4)));
  const view<float, 2> square(x.data(), {64, 64});
  CHECK(!overlap(slice(square, 1, 0, 32), slice(square, 1, 32, 32)));
  CHECK(overlap(slice(square, 1, 0, 33), slice(square, 1, 32, 32)));
  CHECK(!overlap(slice(square, 0, 0, 32), slice(square, 0, 32, 32)));
  CHECK(overlap(square, view<float, 2>(x.data(), {64, 64}, {1, 64})));  // the transpose
}

TEST_CASE("tensors of billions of elements are compared without overflow and without delay") {
  float x = 0;
  const index_t huge = index_t{1} << 20;
  const view<float, 4> a(&x, {huge, 2, huge, 2}, {huge * 8, 4, 8, 1});
  const view<float, 4> b(&x, {huge, 2, huge, 2}, {huge * 8, 4, 8, 1});
  const view<float, 4> c(reinterpret_cast<float*>(reinterpret_cast<std::uintptr_t>(&x) + 2 * sizeof(float)),
                         {huge, 2, huge, 2}, {huge * 8, 4, 8, 1});
  CHECK(overlap(a, b));
  CHECK(!overlap(a, c));
}

TEST_CASE("when the search would get long the answer is yes, never a wrong no") {
  // Strides without a common order: the exact answer may take exponential time, so only a "no" has to be right.
  random_views random;
  int wrong = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto x = random.next<char, 4>(97), y = random.next<char, 4>(89);
    wrong += !overlap(x, y) && shares_a_byte(x, y);
  }
  CHECK(wrong == 0);
}
