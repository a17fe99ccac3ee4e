// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
#include "rwkv7/model/tokenizer.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "support/reported.hpp"

using rwkv7::byte_tokenizer;
using rwkv7_test::reported;

static_assert(rwkv7::tokenizer<byte_tokenizer>);
static_assert(!rwkv7::tokenizer<std::string>);

TEST_CASE("a token of the byte tokenizer is a byte") {
  CHECK(byte_tokenizer::size() == 256);
  CHECK(byte_tokenizer::encode("\"in") == std::vector<std::int32_t>{34, 105, 110});
  CHECK(byte_tokenizer::decode(34) == "\"");
  CHECK(byte_tokenizer::encode("").empty());
}

TEST_CASE("every byte string comes back as it was, zeros and broken UTF-8 included") {
  std::string bytes;
  for (int high = 0; high < 256; ++high)
    for (int low = 0; low < 256; ++low) bytes += {static_cast<char>(high), static_cast<char>(low)};
  const auto tokens = byte_tokenizer::encode(bytes);
  CHECK(tokens.size() == bytes.size());
  std::string back;
  for (const std::int32_t token : tokens) back += byte_tokenizer::decode(token);
  CHECK(back == bytes);
}

TEST_CASE("a token that is no byte is refused") {
  for (const std::int32_t token : {-1, 256, 65536, std::numeric_limits<std::int32_t>::min()}) {
    std::string_view bytes;
    CHECK(reported([&] { bytes = byte_tokenizer::decode(token); }) ==
          "rwkv7::byte_tokenizer: token: got " + std::to_string(token) + ", want 0 to 255");
    CHECK(bytes.empty());
  }
}
