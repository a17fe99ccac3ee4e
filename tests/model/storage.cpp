// SPDX-License-Identifier: MIT
// Blocks of 32 numbers, against the format's definition in other words.
#include "rwkv7/model/storage.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>

using rwkv7::storage;

namespace {

/// binary16 from its fields.
double half(const unsigned char* bytes) {
  const int bits = bytes[0] + 256 * bytes[1], exponent = bits / 1024 % 32, fraction = bits % 1024;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits >= 0x8000 ? -magnitude : magnitude;
}

/// Element n of a block, in double, from digits in base 16 and base 2.
double element(storage type, const unsigned char* block, int n) {
  const double d = half(block);
  if (type == storage::q8_0) return d * (block[2 + n] < 128 ? block[2 + n] : block[2 + n] - 256);
  const auto digit = [&](int at) { return n < 16 ? block[at + n] % 16 : block[at + n - 16] / 16; };
  const auto bit = [&](int at) { return block[at + n / 8] / (1 << n % 8) % 2; };
  if (type == storage::q4_0) return d * (digit(2) - 8);
  if (type == storage::q5_0) return d * (digit(6) + 16 * bit(2) - 16);
  return d * (digit(8) + 16 * bit(4)) + half(block + 2);
}

}  // namespace

TEST_CASE("every element of a block is what its format says") {
  std::mt19937 random(1);
  for (const auto type : {storage::q4_0, storage::q5_0, storage::q5_1, storage::q8_0}) {
    const auto traits = rwkv7::traits_of(type);
    CAPTURE(std::string(traits.name));
    CHECK(traits.elements == 32);
    for (int i = 0; i < 200; ++i) {
      std::vector<unsigned char> block(static_cast<std::size_t>(traits.bytes));
      for (auto& byte : block) byte = static_cast<unsigned char>(random());
      block[1] &= 0xbb;  // a finite scale
      block[3] &= type == storage::q5_1 ? 0xbb : 0xff;
      std::array<float, 32> values{};
      rwkv7::decode_block(type, reinterpret_cast<const std::byte*>(block.data()), values);
      for (int n = 0; n < 32; ++n)  // exact, but for the one sum of Q5_1
        CHECK(values[static_cast<std::size_t>(n)] == static_cast<float>(element(type, block.data(), n)));
    }
  }
}

TEST_CASE("a block by hand") {
  // d = 0.5; elements 0 and 16 share a byte
  std::array<std::byte, 18> q4{std::byte{0x00}, std::byte{0x38}, std::byte{0xf1}};
  std::array<float, 32> values{};
  rwkv7::decode_block(storage::q4_0, q4.data(), values);
  CHECK(values[0] == -3.5f);
  CHECK(values[16] == 3.5f);
  CHECK(values[1] == -4.0f);
}

TEST_CASE("storages have the names that .safetensors gives them") {
  for (std::size_t s = 0; s < rwkv7::storage_table.size(); ++s)
    CHECK(rwkv7::storage_named(rwkv7::storage_table[s].name) == static_cast<storage>(s));
  CHECK(!rwkv7::storage_named("F4"));
  CHECK(!rwkv7::storage_named(""));
  CHECK(rwkv7::traits_of(storage::i64).bytes == 8);
  CHECK(rwkv7::traits_of(storage::q8_0).name == "Q8_0");
}
