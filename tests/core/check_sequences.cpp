// SPDX-License-Identifier: MIT
// What checker::sequence_list accepts, refuses and says.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rwkv7/core/check.hpp"

using rwkv7::checker;
using rwkv7::dense;
using rwkv7::index_t;
using rwkv7::packed;
using list = std::vector<std::int32_t>;

namespace {

constexpr index_t no_state = -1;

std::string complaint(const rwkv7::sequences& seq, index_t slots, bool written = true) {
  return checker("wkv7").sequence_list(seq, slots, written).result().message();
}
std::string complaint(const list& cu, const list& slot_of, index_t slots, bool written = true) {
  return complaint(packed{.cu_seqlens = cu, .state_indices = slot_of}, slots, written);
}

}  // namespace

TEST_CASE("dense sequences have counts of 0 or more, and a slot each") {
  CHECK(complaint(dense{0, 0}, no_state).empty());
  CHECK(complaint(dense{3, 5}, 3).empty());
  CHECK(complaint(dense{3, 5}, 4).empty());
  CHECK(complaint(dense{-1, 5}, no_state) == "rwkv7::wkv7: B: got -1, want 0 or more");
  CHECK(complaint(dense{3, -2}, no_state) == "rwkv7::wkv7: T: got -2, want 0 or more");
  CHECK(complaint(dense{3, 5}, 2) == "rwkv7::wkv7: state slots: got 2, want at least B = 3");
}

TEST_CASE("cu_seqlens starts at 0 and never falls; equal neighbours are an empty sequence") {
  CHECK(complaint({0, 0, 2, 2, 17}, {}, no_state).empty());
  CHECK(complaint({0}, {}, no_state).empty());
  CHECK(complaint({}, {}, no_state) == "rwkv7::wkv7: cu_seqlens size: got 0, want at least 1");
  CHECK(complaint({1, 2}, {}, no_state) == "rwkv7::wkv7: cu_seqlens[0]: got 1, want 0");
  CHECK(complaint({-1, 2}, {}, no_state) == "rwkv7::wkv7: cu_seqlens[0]: got -1, want 0");
  CHECK(complaint({0, 5, 4, 6}, {}, no_state) == "rwkv7::wkv7: cu_seqlens[2]: got 4, want at least the 5 before it");
}

TEST_CASE("without state_indices there is a slot for every sequence") {
  CHECK(complaint({0, 1, 2}, {}, 2).empty());
  CHECK(complaint({0, 1, 2}, {}, 1) == "rwkv7::wkv7: state slots: got 1, want at least 2, one per sequence");
}

TEST_CASE("state_indices has one entry per sequence, each inside the pool") {
  CHECK(complaint({0, 1, 2}, {7, 0}, 8).empty());
  CHECK(complaint({0, 1, 2}, {7}, 8) == "rwkv7::wkv7: state_indices size: got 1, want 2, one per sequence");
  CHECK(complaint({0, 1, 2}, {7, 1, 2}, 8) == "rwkv7::wkv7: state_indices size: got 3, want 2, one per sequence");
  CHECK(complaint({0, 1, 2}, {7, 8}, 8) == "rwkv7::wkv7: state_indices[1]: got 8, want 0 to 7");
  CHECK(complaint({0, 1, 2}, {-1, 0}, 8) == "rwkv7::wkv7: state_indices[0]: got -1, want 0 to 7");
}

TEST_CASE("two sequences may read one slot but not write it") {
  CHECK(complaint({0, 1, 2, 3}, {5, 2, 5}, 8, false).empty());
  CHECK(complaint({0, 1, 2, 3}, {5, 2, 5}, 8, true) ==
        "rwkv7::wkv7: state_indices[2]: got 5 again, want distinct slots");
}

TEST_CASE("a pool of any size is searched for duplicates") {
  // The search goes through the pool in windows of 16384 slots: distances and positions around their ends.
  for (const std::int32_t first : {0, 63, 64, 16383, 16384, 40000})
    for (const std::int32_t distance : {1, 64, 16383, 16384, 32768}) {
      CAPTURE(first);
      CAPTURE(distance);
      CHECK(complaint({0, 1, 2}, {first, first + distance}, 100000).empty());
      CHECK(complaint({0, 1, 2, 3}, {first, first + distance, first}, 100000) ==
            "rwkv7::wkv7: state_indices[2]: got " + std::to_string(first) + " again, want distinct slots");
    }
}

TEST_CASE("offsets beyond 32 bits are compared as they are") {
  const std::vector<std::int64_t> cu = {0, std::int64_t{1} << 33, (std::int64_t{1} << 33) - 1};
  CHECK(complaint(packed{.cu_seqlens = cu}, no_state) ==
        "rwkv7::wkv7: cu_seqlens[2]: got 8589934591, want at least the 8589934592 before it");
}

TEST_CASE("without a state, state_indices do not matter") { CHECK(complaint({0, 1, 2}, {7, 7, 7}, no_state).empty()); }

TEST_CASE("the shorter of the two carried tensors counts the slots") {
  float x[8] = {};
  const rwkv7::view<float, 2> two(x, {2, 2}), four(x, {4, 2});
  CHECK(rwkv7::detail::slots_of(rwkv7::carried<float, 2>{}) == no_state);
  CHECK(rwkv7::detail::slots_of(rwkv7::carried<float, 2>{.initial = two}) == 2);
  CHECK(rwkv7::detail::slots_of(rwkv7::carried<float, 2>{.final = four}) == 4);
  CHECK(rwkv7::detail::slots_of(rwkv7::carried<float, 2>{.initial = two, .final = four}) == 2);
  CHECK(rwkv7::detail::slots_of(rwkv7::carried<float, 2>{.initial = four, .final = two}) == 2);
}
