// SPDX-License-Identifier: MIT
// Time-mix in the place of attention: the block of cxa079 with eight query heads on two heads of keys and values,
// turned by their positions; and a variant of one's own, which is a copy with a field changed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <random>
#include <rwkv7/timemix.hpp>
#include <span>
#include <vector>

using namespace rwkv7;

constexpr variant mine = [] {
  variant v = cxa079;
  v.bonus = false;
  return v;
}();

constexpr dims sizes{.C = 96, .H = 8, .N = 16, .H_kv = 2};

// Random parameters under the names that time_mix gives them; a converter would take most from a Transformer.
class random_layer {
 public:
  random_layer() {
    const index_t D = sizes.D(), D_kv = sizes.D_kv();
    p.receptance = matrix(D, sizes.C), p.key = matrix(D_kv, sizes.C), p.value = matrix(D_kv, sizes.C);
    p.output = matrix(sizes.C, D);
    p.receptance_bias = vector(D, 0, 0.1f), p.key_bias = vector(D_kv, 0, 0.1f), p.value_bias = vector(D_kv, 0, 0.1f);
    p.r_norm = vector(sizes.N, 1, 0.3f), p.k_norm = vector(sizes.N, 1, 0.3f);
    p.w = {matrix(sizes.C, 16), matrix(16, D), vector(D, -3, 3)};
    p.a = {matrix(sizes.C, 16), matrix(16, D), vector(D, 0, 1)};
    p.g = {matrix(sizes.C, 16), matrix(16, D), {}};
    p.r_k = as_view(numbers(D, 0, 0.3f), {sizes.H, sizes.N});
  }
  std::vector<float>& numbers(index_t count, float offset, float scale) {
    auto& x = memory_.emplace_back(static_cast<std::size_t>(count));
    for (float& e : x) e = offset + scale * (static_cast<float>(random_()) * 0x1p-31f - 1);
    return x;
  }
  time_mix_weights p;

 private:
  weights<1> vector(index_t size, float offset, float scale) { return as_view(numbers(size, offset, scale), {size}); }
  weights<2> matrix(index_t rows, index_t columns) {
    return as_view(numbers(rows * columns, 0, 0.15f), {rows, columns});
  }
  std::mt19937 random_{1};
  std::deque<std::vector<float>> memory_;
};

// T tokens in calls of `step`, the first of them at position 1000.
template <variant V>
std::vector<float> run(const time_mix_weights& p, std::vector<float>& x, index_t step) {
  const index_t T = static_cast<index_t>(x.size()) / sizes.C, half = sizes.N / 2;
  std::vector<double> frequency(static_cast<std::size_t>(half));
  rope_frequencies(1e6, as_view(frequency, {half}));
  std::vector<float> y(x.size()), S(static_cast<std::size_t>(sizes.H * sizes.N * sizes.N));
  std::vector<std::int64_t> position{1000};
  for (index_t first = 0; first < T; first += step) {
    const dense seq{1, std::min(step, T - first)};
    std::vector<float> cosine(static_cast<std::size_t>(seq.T * half)), sine = cosine;
    // The angles, once for all heads, and in a model for all layers.
    const auto cos = as_view(cosine, {1, seq.T, half}), sin = as_view(sine, {1, seq.T, half});
    rope_table(inline_executor{}, seq,
               rope_table_inputs<float>{.position = as_view(position, {1}), .frequency = as_view(frequency, {half})},
               {.cos = cos, .sin = sin});
    // As the first layer it produces the values and keys that the layers above lean to.
    std::vector<float> v(static_cast<std::size_t>(seq.T * sizes.D_kv())), k = v;
    std::vector<std::byte> memory(time_mix_workspace_size<float, V>(seq, sizes, p));
    const auto rows = [&](auto& all) { return slice(as_view(all, {1, T, sizes.C}), 1, first, seq.T); };
    time_mix<V>(inline_executor{}, seq, sizes, p, time_mix_inputs<float>{.x = rows(x), .cos = cos, .sin = sin}, rows(y),
                {.v = as_view(v, {1, seq.T, sizes.D_kv()}), .k = as_view(k, {1, seq.T, sizes.D_kv()}), .produce = true},
                {{}, state<float>::in_place(as_view(S, {1, sizes.H, sizes.N, sizes.N}))}, std::span(memory));
    position[0] += seq.T;
  }
  return y;
}

int main() {
  random_layer layer;
  std::vector<float> x = layer.numbers(40 * sizes.C, 0, 1);
  const auto with = run<cxa079>(layer.p, x, 40), without = run<mine>(layer.p, x, 40);
  auto no_bonus = layer.p;
  const std::vector<float> zeros(static_cast<std::size_t>(sizes.D()));
  no_bonus.r_k = as_view(zeros, {sizes.H, sizes.N});
  const bool changed = with != without, as_expected = run<cxa079>(no_bonus, x, 40) == without;
  const bool continued = run<mine>(layer.p, x, 32) == without;
  std::printf("my variant differs from cxa079: %s, and is cxa079 without its bonus: %s\n", changed ? "yes" : "NO",
              as_expected ? "yes" : "NO");
  std::printf("continued after 32 tokens, at position 1032: %s\n", continued ? "equal to the last bit" : "DIFFERENT");
  return changed && as_expected && continued ? 0 : 1;
}
