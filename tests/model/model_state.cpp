// SPDX-License-Identifier: MIT
#include "rwkv7/model/model_state.hpp"

#include <doctest/doctest.h>

#include <vector>

using rwkv7::carried;
using rwkv7::index_t;
using rwkv7::state_of_layer;
using rwkv7::view;
using rwkv7::x070;

namespace {
constexpr rwkv7::model_sizes sizes{.V = 5, .C = 6, .layers = 3, .H = 2, .N = 4, .H_kv = 1, .F = 7};
constexpr index_t layer = 6 + 6 + 2 * 4 * 4;
}  // namespace

TEST_CASE("a slot holds, layer by layer, att shift, ffn shift and S") {
  CHECK(rwkv7::model_state_size<x070>(sizes) == 3 * layer);
  std::vector<float> memory(2 * 3 * layer);
  const auto state =
      state_of_layer<x070>(sizes, carried<float, 2>::in_place(view<float, 2>(memory.data(), {2, 3 * layer})), 1);
  const float* const slot = memory.data() + 3 * layer + layer;  // of slot 1, layer 1
  CHECK(state.att.shift.final.at(1, 0) == slot);
  CHECK(state.att.shift.final.extents() == rwkv7::inline_array<index_t, 2>{2, 6});
  CHECK(state.ffn.final.at(1, 0) == slot + 6);
  CHECK(state.ffn.final.extents() == rwkv7::inline_array<index_t, 2>{2, 6});
  CHECK(state.att.S.final.at(1, 1, 2, 3) == slot + 12 + 16 + 2 * 4 + 3);
  CHECK(state.att.S.final.extents() == rwkv7::inline_array<index_t, 4>{2, 2, 4, 4});
  CHECK(state.att.S.initial == view<const float, 4>(state.att.S.final));
}

TEST_CASE("without token shift there is no att shift") {
  constexpr auto plain = [] {
    auto v = x070;
    v.token_shift = false;
    return v;
  }();
  CHECK(rwkv7::model_state_size<plain>(sizes) == 3 * (layer - 6));
  std::vector<float> memory(3 * (layer - 6));
  const auto state =
      state_of_layer<plain>(sizes, carried<float, 2>::in_place(view<float, 2>(memory.data(), {1, 3 * (layer - 6)})), 0);
  CHECK(!state.att.shift.final);
  CHECK(state.ffn.final.data() == memory.data());
  CHECK(state.att.S.final.data() == memory.data() + 6);
}

TEST_CASE("absent slots stay absent, broadcast ones stay broadcast") {
  std::vector<double> memory(3 * layer);
  const view<const double, 1> one(memory.data(), {3 * layer});
  const auto state =
      state_of_layer<x070>(sizes, carried<double, 2>{.initial = rwkv7::broadcast(one, 9), .final = {}}, 2);
  CHECK(state.att.S.initial.extent(0) == 9);
  CHECK(state.att.S.initial.stride(0) == 0);
  CHECK(!state.att.S.final);
  CHECK(!state.ffn.final);
}
