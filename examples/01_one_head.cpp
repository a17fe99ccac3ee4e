// SPDX-License-Identifier: MIT
// One head, raw pointers only, and numbers small enough to follow by hand. The state belongs to the caller: it stays in
// place, so that the second call continues where the first one ended.
#include <cstdio>
#include <rwkv7/timemix.hpp>

using namespace rwkv7;

constexpr index_t N = 3;  // head size
constexpr float zeros[N] = {};

// One token: y = S_t r with S_t = S_{t-1} diag(w) + (S_{t-1} a) bᵀ + v kᵀ, here with a = b = 0.
void step(const float* r, const float* w, const float* k, const float* v, float* y, float* S) {
  const auto in = [](const float* x) { return view<const float, 4>(x, {1, 1, 1, N}); };  // [B, T, H, N]
  wkv7(inline_executor{}, dense{.B = 1, .T = 1},
       wkv7_inputs<float>{
           .r = in(r), .w = decay<float>::factor(in(w)), .k = in(k), .v = in(v), .a = in(zeros), .b = in(zeros)},
       view<float, 4>(y, {1, 1, 1, N}), state<float>::in_place(view<float, 4>(S, {1, 1, N, N})));
}

int main() {
  float S[N * N] = {}, y[N];  // S: row = value, column = key

  const float key[N] = {1, 0, 0}, value[N] = {2, 4, 6}, keep[N] = {1, 1, 1}, fade[N] = {0.5f, 1, 1};
  step(zeros, keep, key, value, y, S);  // writes the value under the key
  step(key, fade, zeros, zeros, y, S);  // writes nothing, fades the first column of S by half, and asks for the key

  std::printf("y = %g %g %g, half of what was written\n", static_cast<double>(y[0]), static_cast<double>(y[1]),
              static_cast<double>(y[2]));
  return y[0] == 1 && y[1] == 2 && y[2] == 3 ? 0 : 1;
}
