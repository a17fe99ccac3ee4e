// SPDX-License-Identifier: MIT
#include "rwkv7/core/sequences.hpp"

#include <doctest/doctest.h>

#include <array>
#include <type_traits>
#include <vector>

using rwkv7::dense;
using rwkv7::index_list;
using rwkv7::index_t;
using rwkv7::packed;
using rwkv7::sequence;
using rwkv7::sequences;

namespace {

void check_sequence(const sequence& s, index_t batch, index_t first, index_t length, index_t slot) {
  CHECK(s.batch == batch);
  CHECK(s.first == first);
  CHECK(s.length == length);
  CHECK(s.slot == slot);
}

}  // namespace

TEST_CASE("dense: every batch row is a sequence of T tokens and owns the slot of its number") {
  const sequences s = dense{3, 5};
  CHECK(!s.is_packed());
  CHECK(s.batch() == 3);
  CHECK(s.tokens() == 5);
  CHECK(s.count() == 3);
  check_sequence(s[0], 0, 0, 5, 0);
  check_sequence(s[2], 2, 0, 5, 2);
}

TEST_CASE("dense: no token and no row are legal") {
  CHECK(sequences(dense{2, 0}).count() == 2);
  CHECK(sequences(dense{0, 7}).count() == 0);
  check_sequence(sequences(dense{2, 0})[1], 1, 0, 0, 1);
}

TEST_CASE_TEMPLATE("packed: sequences lie end to end in one row, lengths 0 and 1 among them", Index, std::int32_t,
                   std::int64_t) {
  const std::vector<Index> cu = {0, 0, 2, 3, 20};
  const sequences s = packed{.cu_seqlens = cu};
  CHECK(s.is_packed());
  CHECK(s.batch() == 1);
  CHECK(s.tokens() == 20);
  CHECK(s.count() == 4);
  check_sequence(s[0], 0, 0, 0, 0);
  check_sequence(s[1], 0, 0, 2, 1);
  check_sequence(s[2], 0, 2, 1, 2);
  check_sequence(s[3], 0, 3, 17, 3);
}

TEST_CASE_TEMPLATE("packed: state_indices say which slot a sequence owns", Index, std::int32_t, std::int64_t) {
  const std::vector<Index> cu = {0, 4, 6}, slots = {9, 2};
  const sequences s = packed{.cu_seqlens = cu, .state_indices = slots};
  check_sequence(s[0], 0, 0, 4, 9);
  check_sequence(s[1], 0, 4, 2, 2);
}

TEST_CASE("packed: offsets and slots may have different widths") {
  const std::array<std::int64_t, 2> cu = {0, 3};
  const std::array<std::int32_t, 1> slots = {5};
  check_sequence(sequences(packed{.cu_seqlens = cu, .state_indices = slots})[0], 0, 0, 3, 5);
}

TEST_CASE("packed: an empty list has no sequence and no token") {
  const sequences none = packed{};
  CHECK(none.count() == 0);
  CHECK(none.tokens() == 0);
  const std::vector<std::int32_t> zero = {0};
  CHECK(sequences(packed{.cu_seqlens = zero}).count() == 0);
}

TEST_CASE("an index list borrows spans, vectors and arrays of either width") {
  const std::vector<std::int32_t> narrow = {1, 2, 3};
  const std::array<std::int64_t, 2> wide = {std::int64_t{1} << 40, 7};
  CHECK(index_list(narrow).size() == 3);
  CHECK(index_list(narrow)[2] == 3);
  CHECK(index_list(wide)[0] == index_t{1} << 40);
  CHECK(index_list(std::span<const std::int32_t>(narrow))[0] == 1);
  CHECK(index_list().size() == 0);
  static_assert(!std::is_convertible_v<std::vector<std::uint64_t>, index_list>);
  static_assert(!std::is_convertible_v<std::vector<double>, index_list>);
}
