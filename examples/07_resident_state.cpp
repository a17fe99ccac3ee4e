// SPDX-License-Identifier: MIT
// A loop that decodes many tokens keeps its states in the layout that suits the loop: a prompt is run as usual, its
// state is imported, every token then takes one pass over it, and what shall be kept is exported. To branch is to copy
// memory.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <rwkv7/timemix.hpp>
#include <vector>

using namespace rwkv7;

constexpr index_t B = 2, T = 100, prompt = 60, H = 4, N = 64;

int main() {
  std::mt19937 random(1);
  const auto numbers = [&](float low, float high) {
    std::vector<float> x(B * T * H * N);
    for (float& e : x) e = low + (high - low) * static_cast<float>(random()) * 0x1p-32f;
    return x;
  };
  const auto r = numbers(-1, 1), w = numbers(0.55f, 1), k = numbers(-1, 1), v = numbers(-1, 1),
             a = numbers(-0.2f, 0.2f);
  auto b = a;
  for (float& e : b) e *= -0.5f;
  // Tokens [first, first + count) of every sequence.
  const auto tokens = [](auto& x, index_t first, index_t count) {
    return slice(as_view(x, {B, T, H, N}), 1, first, count);
  };
  const auto inputs = [&](index_t first, index_t count) {
    return wkv7_inputs<float>{.r = tokens(r, first, count),
                              .w = decay<float>::factor(tokens(w, first, count)),
                              .k = tokens(k, first, count),
                              .v = tokens(v, first, count),
                              .a = tokens(a, first, count),
                              .b = tokens(b, first, count)};
  };
  const inline_executor exec;
  std::vector<float> y(B * T * H * N), S(B * H * N * N);
  const auto rows = as_view(S, {B, H, N, N});
  wkv7(exec, dense{B, prompt}, inputs(0, prompt), tokens(y, 0, prompt), state<float>::in_place(rows));

  std::vector<cache_line> memory(resident_state_size<float>(exec, {B, H, N}));
  const auto resident = make_resident_state<float>(exec, {B, H, N}, memory);
  import_state(exec, rows, resident);
  auto copy = memory;
  const auto branch = resident.at(copy);

  for (index_t t = prompt; t < T; ++t) wkv7(exec, dense{B, 1}, inputs(t, 1), tokens(y, t, 1), resident);
  std::vector<float> S_resident(S.size()), y_branch(y.size()), y_rows(y.size());
  export_state(exec, resident, as_view(S_resident, {B, H, N, N}));
  for (index_t t = prompt; t < T; ++t) {
    wkv7(exec, dense{B, 1}, inputs(t, 1), tokens(y_branch, t, 1), branch);
    wkv7(exec, dense{B, 1}, inputs(t, 1), tokens(y_rows, t, 1), state<float>::in_place(rows));
  }

  double largest = 0, difference = 0;
  bool same = true;
  for (index_t n = 0; n < B; ++n)
    for (std::size_t i = static_cast<std::size_t>((n * T + prompt) * H * N);
         i < static_cast<std::size_t>((n + 1) * T * H * N); ++i) {
      largest = std::max<double>(largest, std::fabs(y_rows[i]));
      difference = std::max<double>(difference, std::fabs(y[i] - y_rows[i]));
      same = same && y[i] == y_branch[i];
    }
  for (std::size_t i = 0; i < S.size(); ++i) difference = std::max<double>(difference, std::fabs(S[i] - S_resident[i]));
  const bool close = difference < 1e-5 * largest;
  std::printf("%d tokens on a resident state: %s as on rows\n", int(B * (T - prompt)),
              close ? "the same" : "NOT THE SAME");
  std::printf("the branch: %s\n", same ? "equal to the last bit" : "DIFFERENT");
  return close && same ? 0 : 1;
}
