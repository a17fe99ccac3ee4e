// SPDX-License-Identifier: MIT
#include "rwkv7/model/gguf_vocabulary.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/vocabulary.hpp"

using namespace rwkv7_test;

namespace {

template <class T>
T entry(const std::vector<rwkv7::gguf_entry>& entries, const std::string& key) {
  for (const auto& e : entries)
    if (e.key == key) return std::get<T>(e.value);
  FAIL("no entry ", key);
  return {};
}

/// What llama.cpp makes of a token's text: \t, \n, \r, \xHH, and any other character behind a backslash as it is.
std::string unescaped(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    const char c = text[++i];
    if (c == 'x') {
      bytes += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      bytes += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("every token's text is printable and stands for its bytes") {
  const auto tokens = single_bytes_and({"\n\n", "\\x41", "a\\", "'\"", "\xe4\xbd\xa0", std::string("\0\x01", 2)});
  const auto V = static_cast<rwkv7::index_t>(tokens.size()) + 4;  // 0, and three that the vocabulary lacks
  const auto entries = rwkv7::gguf_vocabulary(rwkv7::world_tokenizer::parse(vocabulary_text(tokens)), V);
  const auto texts = entry<std::vector<std::string>>(entries, "tokenizer.ggml.tokens");
  const auto types = entry<std::vector<std::int32_t>>(entries, "tokenizer.ggml.token_type");
  REQUIRE(texts.size() == static_cast<std::size_t>(V));
  REQUIRE(types.size() == texts.size());
  for (const auto& [id, bytes] : tokens) {
    const auto& text = texts[static_cast<std::size_t>(id)];
    CAPTURE(text);
    CHECK(unescaped(text) == bytes);
    CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    CHECK(types[static_cast<std::size_t>(id)] == 1);
  }
  CHECK(types.front() == 3);
  for (std::size_t i = tokens.size() + 1; i < texts.size(); ++i) {
    CHECK(texts[i] == "[PAD" + std::to_string(i) + "]");
    CHECK(types[i] == 5);
  }
  CHECK(entry<std::string>(entries, "tokenizer.ggml.model") == "rwkv");
  CHECK(entry<std::uint32_t>(entries, "tokenizer.ggml.eot_token_id") == 257);
}

TEST_CASE("a vocabulary without a token for a blank line has no end of turn") {
  const auto entries = rwkv7::gguf_vocabulary(rwkv7::world_tokenizer::parse(vocabulary_text(single_bytes())), 257);
  CHECK(std::none_of(entries.begin(), entries.end(),
                     [](const auto& e) { return e.key == "tokenizer.ggml.eot_token_id"; }));
}
