// SPDX-License-Identifier: MIT
// A whole time-mix layer: sixteen tokens in one call, then token by token, with the same result. Its scratch memory is
// asked for once and brought along. Its state is a value: a copy is a branch, copying back is rolling back.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <random>
#include <rwkv7/timemix.hpp>
#include <span>
#include <vector>

using namespace rwkv7;

constexpr dims sizes{.C = 128, .H = 2, .N = 64};

// Random parameters, which a program would rather read from a file.
class random_layer {
 public:
  random_layer() {
    for (auto* mix : {&p.x_r, &p.x_w, &p.x_k, &p.x_v, &p.x_a, &p.x_g}) *mix = vector(0.5f, 0.5f);
    for (auto* w : {&p.receptance, &p.key, &p.value, &p.output}) *w = matrix(sizes.C, sizes.C);
    for (auto* w : {&p.w, &p.a, &p.g}) *w = {.in = matrix(sizes.C, 32), .out = matrix(32, sizes.C)};
    p.w.bias = vector(-3, 3), p.a.bias = vector(0, 1);
    p.k_k = vector(1, 0.5f), p.k_a = vector(1, 0.5f), p.r_k = matrix(sizes.H, sizes.N);
    p.ln_x_weight = vector(1, 0.5f), p.ln_x_bias = vector(0, 0.5f);
  }
  // `count` numbers within offset ± scale.
  std::vector<float>& numbers(index_t count, float offset, float scale) {
    auto& x = memory_.emplace_back(static_cast<std::size_t>(count));
    for (float& e : x) e = offset + scale * (static_cast<float>(random_()) * 0x1p-31f - 1);
    return x;
  }
  time_mix_weights p;

 private:
  weights<1> vector(float offset, float scale) { return as_view(numbers(sizes.C, offset, scale), {sizes.C}); }
  weights<2> matrix(index_t rows, index_t columns) {
    return as_view(numbers(rows * columns, 0, 0.15f), {rows, columns});
  }
  std::mt19937 random_{1};
  std::deque<std::vector<float>> memory_;
};

// What the layer carries: the last input and S, in one piece that can be copied.
struct carried_values {
  std::vector<float> shift = std::vector<float>(sizes.C), S = std::vector<float>(sizes.H * sizes.N * sizes.N);
  time_mix_state<float> in_place() {
    return {shift_state<float>::in_place(as_view(shift, {1, sizes.C})),
            state<float>::in_place(as_view(S, {1, sizes.H, sizes.N, sizes.N}))};
  }
};

int main() {
  const index_t T = 16;
  random_layer layer;
  const std::vector<float> x = layer.numbers(T * sizes.C, 0, 1);
  std::vector<float> first_v(x.size());
  std::vector<std::byte> memory(time_mix_workspace_size<float>(dense{1, T}, sizes, layer.p));

  // Tokens [first, first + count) of x, from the state to the state. As the first layer of a model it also produces the
  // values that the layers above would mix in.
  const auto run = [&](index_t first, index_t count, carried_values& carried, std::vector<float>& y) {
    const auto rows = [&](auto& all) { return slice(as_view(all, {1, T, sizes.C}), 1, first, count); };
    time_mix(inline_executor{}, dense{1, count}, sizes, layer.p, time_mix_inputs<float>{.x = rows(x)}, rows(y),
             {.v = rows(first_v), .produce = true}, carried.in_place(), std::span(memory));
  };

  std::vector<float> at_once(x.size()), one_by_one(x.size());
  carried_values state, saved;
  run(0, T, state, at_once);
  state = {};
  for (index_t t = 0; t < T; ++t) {
    if (t == T / 2) saved = state;
    run(t, 1, state, one_by_one);
  }
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += std::pow(static_cast<double>(one_by_one[i] - at_once[i]), 2);
    norm += std::pow(static_cast<double>(at_once[i]), 2);
  }
  const double relative = std::sqrt(difference / norm);
  std::printf("workspace: %zu bytes; decoding differs from prefill by %.1e of its length\n", memory.size(), relative);

  // From the middle into another future, and then again into the one that was.
  std::vector<float> elsewhere(x.size()), again(x.size());
  carried_values branch = saved;
  run(0, T / 2, branch, elsewhere);
  state = saved;
  for (index_t t = T / 2; t < T; ++t) run(t, 1, state, again);
  const auto half = static_cast<std::ptrdiff_t>(x.size() / 2);
  const bool same = std::equal(again.begin() + half, again.end(), one_by_one.begin() + half);
  std::printf("after rolling back: %s\n", same ? "equal to the last bit" : "DIFFERENT");
  return relative < 1e-6 && same ? 0 : 1;
}
