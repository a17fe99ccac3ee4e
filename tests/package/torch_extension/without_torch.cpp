// SPDX-License-Identifier: MIT
// without_torch IN OUT: the same call without PyTorch. IN holds B T H N as 64-bit integers, then r w k v a b and the
// state as floats, the decay as a logit; OUT gets y and the state.
#include <cstdio>
#include <rwkv7/timemix.hpp>
#include <vector>

using namespace rwkv7;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::FILE* const in = std::fopen(argv[1], "rb");
  index_t sizes[4];
  if (!in || std::fread(sizes, sizeof sizes, 1, in) != 1) return 1;
  const auto [B, T, H, N] = sizes;
  const auto read = [&](index_t count) {
    std::vector<float> x(static_cast<std::size_t>(count));
    if (std::fread(x.data(), sizeof(float), x.size(), in) != x.size()) x.clear();
    return x;
  };
  const index_t count = B * T * H * N;
  const auto r = read(count), w = read(count), k = read(count), v = read(count), a = read(count), b = read(count);
  auto S = read(B * H * N * N);
  std::fclose(in);

  std::vector<float> y(r.size());
  const auto tensor = [&, B = B, T = T, H = H, N = N](auto& x) { return as_view(x, {B, T, H, N}); };
  wkv7(inline_executor{}, dense{B, T},
       wkv7_inputs<float>{.r = tensor(r),
                          .w = decay<float>::logit(tensor(w)),
                          .k = tensor(k),
                          .v = tensor(v),
                          .a = tensor(a),
                          .b = tensor(b)},
       tensor(y), state<float>::in_place(as_view(S, {B, H, N, N})));

  std::FILE* const out = std::fopen(argv[2], "wb");
  if (!out) return 1;
  std::fwrite(y.data(), sizeof(float), y.size(), out);
  std::fwrite(S.data(), sizeof(float), S.size(), out);
  return std::fclose(out);
}
