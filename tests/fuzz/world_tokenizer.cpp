// SPDX-License-Identifier: MIT
// Any bytes as a vocabulary, alone and after a line for every byte: refused with rwkv7::error, or a tokenizer that
// gives any bytes back, which the input is too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "rwkv7/model/utf8_stream.hpp"
#include "rwkv7/model/world_tokenizer.hpp"
#include "support/vocabulary.hpp"

namespace {

void check(bool good) {
  if (!good) std::abort();
}

/// Whether it loads.
bool use(const std::string& vocabulary, std::string_view text) {
  rwkv7::world_tokenizer tokenizer;
  try {
    tokenizer = rwkv7::world_tokenizer::parse(vocabulary, "fuzz");
  } catch (const rwkv7::error&) {
    return false;
  }
  std::string decoded, streamed;
  rwkv7::utf8_stream stream;
  for (const std::int32_t token : tokenizer.encode(text)) {
    const auto bytes = tokenizer.decode(token);
    check(token > 0 && token < tokenizer.size() && !bytes.empty());
    decoded += bytes;
    streamed += stream.push(bytes);
    check(decoded.size() - streamed.size() <= 3);
  }
  streamed += stream.finish();
  check(decoded == text && streamed == text);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string single_bytes = rwkv7_test::vocabulary_text(rwkv7_test::single_bytes(1000));
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  use(std::string(input), input);
  check(use(single_bytes, input));
  use(single_bytes + std::string(input), input);
  return 0;
}
