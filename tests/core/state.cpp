// SPDX-License-Identifier: MIT
#include "rwkv7/core/state.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

using rwkv7::index_t;
using rwkv7::view;

TEST_CASE("a default state is absent on both sides") {
  const rwkv7::state<float> none;
  CHECK(!none.initial);
  CHECK(!none.final);
}

TEST_CASE("in_place is the same view twice") {
  float x[6] = {};
  const view<float, 2> v(x, {2, 3});
  const auto s = rwkv7::shift_state<float>::in_place(v);
  CHECK(s.initial == view<const float, 2>(v));
  CHECK(s.final == v);
}

TEST_CASE("from_key_value shows a transposed state without a copy") {
  std::vector<float> memory(2 * 3 * 4 * 4);
  std::iota(memory.begin(), memory.end(), 0.0f);
  const view<float, 4> key_value(memory.data(), {2, 3, 4, 4});
  const auto value_key = rwkv7::from_key_value(key_value);
  CHECK(value_key.data() == memory.data());
  for (index_t key = 0; key < 4; ++key)
    for (index_t value = 0; value < 4; ++value) CHECK(value_key(1, 2, value, key) == key_value(1, 2, key, value));
  CHECK(rwkv7::from_key_value(value_key) == key_value);
  CHECK(!rwkv7::from_key_value(view<const float, 4>{}));
}

TEST_CASE("an initial value for every slot is a broadcast view") {
  std::vector<float> learned(3 * 4 * 4, 2.0f);
  const rwkv7::state<float> s{.initial = broadcast(view<const float, 3>(learned.data(), {3, 4, 4}), 10)};
  CHECK(s.initial.extent(0) == 10);
  CHECK(s.initial(9, 2, 3, 3) == 2.0f);
}
