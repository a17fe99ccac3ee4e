// SPDX-License-Identifier: MIT
// write FOLDER: the same tensors as ours.pth and as ours.safetensors.
#include <cstdio>

#include "rwkv7/model/pth_writer.hpp"
#include "rwkv7/model/safetensors_writer.hpp"
#include "support/tiny_checkpoint.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  auto some = rwkv7_test::tiny_model({.V = 2, .C = 64, .layers = 2, .H = 1, .N = 64, .H_kv = 1, .F = 3});
  using rwkv7::storage;
  some.add("f16", storage::f16, {3, 5});
  some.add("bf16", storage::bf16, {1, 1, 7});
  some.add("f64", storage::f64, {2, 2});
  some.add("scalar", storage::f32, {});
  some.add("empty", storage::f32, {0, 3});
  some.add("large", storage::f32, {300, 1000});
  some.add("\xce\xbb 'quoted' \"twice\"", storage::f32, {1});
  auto tensors = some.file().tensors;
  // Turned, in steps, and in blocks: what has to be unpacked first.
  auto turned = *some.file().find("large");
  turned.name = "turned";
  std::swap(turned.shape[0], turned.shape[1]);
  std::swap(turned.strides[0], turned.strides[1]);
  tensors.push_back(turned);
  tensors.push_back({"steps", storage::f32, {3}, {2}, turned.bytes.first(20)});
  tensors.push_back({"blocks", storage::q8_0, {2, 64}, {64, 1}, turned.bytes.first(136)});
  const auto ignore = [](std::size_t) {};
  for (const auto& problem : {rwkv7::write_pth(folder / "ours.pth", tensors, ignore),
                              rwkv7::write_safetensors(folder / "ours.safetensors", tensors, {}, ignore)})
    if (problem) {
      std::fprintf(stderr, "%s\n", problem.message());
      return 1;
    }
}
