// SPDX-License-Identifier: MIT
// rwkv7-test: dispatch
// Wrong calls of the blocks that linearised Transformers keep: named, and nothing is written.
#include <doctest/doctest.h>

#include "rwkv7/block/hybrid_layer.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/executors.hpp"
#include "support/pattern.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// Calls that are right; each test spoils one thing.
struct call {
  static constexpr index_t B = 2, T = 3;
  dims d{.C = 12, .H = 4, .N = 8, .H_kv = 2};
  std::vector<float> values = pattern("values", 4096, 0, 1), out = std::vector<float>(72, 5),
                     rings = std::vector<float>(2 * 2 * 2 * 5 * 8, 5);
  std::vector<std::int64_t> position{0, 9};
  std::vector<std::byte> scratch = std::vector<std::byte>(1 << 16);
  hybrid_layer_weights p;
  attention_inputs<float> in{.x = activations(12), .cos = activations(4), .sin = activations(4)};
  view<float, 3> y{out.data(), {B, T, 12}};
  kv_cache<float> cache{{rings.data(), {2, 2, 5, 8}}, {rings.data() + 160, {2, 2, 5, 8}}, {position.data(), {2}}};

  weights<1> vector(index_t n) const { return {values.data(), dtype::f32, {n}}; }
  weights<2> matrix(index_t rows, index_t columns) const { return {values.data(), dtype::f32, {rows, columns}}; }
  view<const float, 3> activations(index_t width) const { return {values.data(), {B, T, width}}; }

  call() {
    p.is_attention = true;
    p.ln1 = p.ln2 = vector(12);
    auto& a = p.attention;
    a.q_proj = matrix(32, 12), a.k_proj = a.v_proj = matrix(16, 12), a.o_proj = matrix(12, 32);
    a.q_bias = vector(32), a.k_bias = a.v_bias = vector(16), a.o_bias = vector(12);
    a.q_norm = a.k_norm = vector(8);
    p.ffn = {.gate = matrix(20, 12), .up = matrix(20, 12), .down = matrix(12, 20)};
  }
  call(const call&) = delete;
  call& operator=(const call&) = delete;

  void untouched() const {
    for (const auto* values_of : {&out, &rings})
      for (const float x : *values_of) CHECK(x == 5);
  }
  void attention_refused(const std::string& text) {
    check_refused("rwkv7::" + text, validate_attention(dense{B, T}, d, p.attention, in, y, cache, workspace(scratch)),
                  [&](auto& exec) {
                    attention(exec, dense{B, T}, d, p.attention, in, y, cache, workspace(scratch));
                  });
    untouched();
  }
  void mlp_refused(const std::string& text) {
    const swiglu_mlp_inputs<float> x{.x = in.x};
    check_refused("rwkv7::" + text, validate_swiglu_mlp(p.ffn, x, y, workspace(scratch)),
                  [&](auto& exec) { swiglu_mlp(exec, p.ffn, x, y, workspace(scratch)); });
    untouched();
  }
  void layer_refused(const std::string& text) {
    const hybrid_layer_inputs<float> rotation{.cos = in.cos, .sin = in.sin, .window = in.window};
    const hybrid_layer_state<float> state{{}, cache};
    check_refused("rwkv7::" + text,
                  validate_hybrid_layer<cxa079>(dense{B, T}, d, p, rotation, y, {}, state, workspace(scratch)),
                  [&](auto& exec) {
                    hybrid_layer<cxa079>(exec, dense{B, T}, d, p, rotation, y, {}, state, workspace(scratch));
                  });
    untouched();
  }
};

}  // namespace

TEST_CASE("the calls of these tests are right as they are") {
  call right;
  const swiglu_mlp_inputs<float> x{.x = right.in.x};
  CHECK_FALSE(validate_attention(dense{2, 3}, right.d, right.p.attention, right.in, right.y, right.cache,
                                 workspace(right.scratch)));
  CHECK_FALSE(validate_swiglu_mlp(right.p.ffn, x, right.y, workspace(right.scratch)));
}

TEST_CASE("parameters of attention that do not fit are refused") {
  {
    call c;
    c.p.attention.q_proj = {};
    c.attention_refused("attention: q_proj: not given");
  }
  {
    call c;
    c.p.attention.k_proj = c.matrix(32, 12);
    c.attention_refused("attention: k_proj axis D_kv: got 32, want 16");
  }
  {
    call c;
    c.p.attention.v_bias = c.vector(12);
    c.attention_refused("attention: v_proj.bias axis channels: got 12, want 16");
  }
  {
    call c;
    c.p.attention.k_norm = {};
    c.attention_refused("attention: k_norm.weight: not given");
  }
  {
    call c;
    c.p.attention.q_norm = c.vector(7);
    c.attention_refused("attention: q_norm.weight axis N: got 7, want 8");
  }
  {
    call c;
    c.d.H_kv = 3;
    c.attention_refused("attention: k v heads: got 3, want a divisor of H = 4");
  }
  {
    call c;
    c.d.N = 0;
    c.attention_refused("attention: head size N: got 0, want 1 or more");
  }
}

TEST_CASE("rotations of half a kind, or of odd heads, are refused") {
  {
    call c;
    c.in.sin = {};
    c.attention_refused("attention: sin: not given");
  }
  {
    call c;
    c.in.cos = c.activations(8);
    c.attention_refused("attention: cos axis N / 2: got 8, want 4");
  }
  call c;
  c.d = {.C = 12, .H = 4, .N = 7, .H_kv = 4};
  auto& a = c.p.attention;
  a = {.q_proj = c.matrix(28, 12), .k_proj = c.matrix(28, 12), .v_proj = c.matrix(28, 12), .o_proj = c.matrix(12, 28)};
  c.attention_refused("attention: head size N: got 7, want an even number, for rope");
}

TEST_CASE("operands of attention in one place, and caches that do not fit, are refused") {
  {
    call c;
    c.in.x = c.y;
    c.attention_refused("attention: y overlaps x");
  }
  {
    call c;
    c.cache.k = {c.out.data(), {2, 2, 2, 8}};
    c.cache.v = {c.rings.data(), {2, 2, 2, 8}};
    c.attention_refused("attention: cache.k overlaps y");
  }
  {
    call c;
    c.cache.k = {c.rings.data(), {2, 1, 5, 8}};
    c.attention_refused("gqa_attention: cache.k axis H_kv: got 1, want 2");
  }
  {
    call c;
    c.position[1] = -1;
    c.attention_refused("gqa_attention: cache.position: got -1, want 0 or more and less than 2^60");
  }
  {
    call c;
    c.in.window = 6;
    c.attention_refused("gqa_attention: window: got 6, want at most the capacity of the cache");
  }
  call c;
  c.scratch.resize(100);
  const auto need = attention_workspace_size<float>(dense{2, 3}, c.d);
  c.attention_refused("attention: workspace: got 100 bytes, want " + std::to_string(need));
}

TEST_CASE("wrong calls of swiglu_mlp are refused") {
  {
    call c;
    c.p.ffn.up = c.matrix(19, 12);
    c.mlp_refused("swiglu_mlp: up axis F: got 19, want 20");
  }
  {
    call c;
    c.p.ffn.down = {};
    c.mlp_refused("swiglu_mlp: down: not given");
  }
  {
    call c;
    c.in.x = c.y;
    c.mlp_refused("swiglu_mlp: y overlaps x");
  }
}

TEST_CASE("wrong calls of hybrid_layer are refused, in the words of the block they belong to") {
  {
    call c;
    c.p.ln2 = {};
    c.layer_refused("hybrid_layer: ln2.weight: not given");
  }
  {
    call c;
    c.p.ffn.gate = c.matrix(20, 11);
    c.layer_refused("swiglu_mlp: gate axis C: got 11, want 12");
  }
  {
    call c;
    c.p.attention.o_proj = {};
    c.layer_refused("attention: o_proj: not given");
  }
  {
    call c;
    c.p.is_attention = false;
    c.layer_refused("time_mix: receptance: not given");
  }
  {
    call c;
    c.cache.v = {c.out.data(), {2, 2, 2, 8}};
    c.layer_refused("hybrid_layer: x overlaps state.cache.v");
  }
}
