// SPDX-License-Identifier: MIT
/// Writes vocabulary files of World models, and encodes as their tokenizer should.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rwkv7_test {

using token_bytes = std::map<std::int32_t, std::string>;  // by id

/// The bytes as a b'' literal in which everything but letters and digits is escaped.
inline std::string bytes_literal(std::string_view bytes) {
  std::string text = "b'";
  for (const char c : bytes) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const auto byte = static_cast<unsigned char>(c);
    text +=
        plain ? std::string(1, c) : std::string("\\x") + "0123456789abcdef"[byte / 16] + "0123456789abcdef"[byte % 16];
  }
  return text + "'";
}

inline std::string vocabulary_line(std::int64_t id, const std::string& literal, std::size_t length,
                                   const std::string& end = "\n") {
  return std::to_string(id) + ' ' + literal + ' ' + std::to_string(length) + end;
}

inline std::string vocabulary_text(const token_bytes& tokens, const std::string& end = "\n") {
  std::string text;
  for (const auto& [id, bytes] : tokens) text += vocabulary_line(id, bytes_literal(bytes), bytes.size(), end);
  return text;
}

/// Every byte alone, from id `first` on.
inline token_bytes single_bytes(std::int32_t first = 1) {
  token_bytes tokens;
  for (int byte = 0; byte < 256; ++byte) tokens[first + byte] = std::string(1, static_cast<char>(byte));
  return tokens;
}

/// Every byte alone, then these.
inline token_bytes single_bytes_and(const std::vector<std::string>& more) {
  auto tokens = single_bytes();
  for (const auto& bytes : more) tokens[static_cast<std::int32_t>(tokens.size()) + 1] = bytes;
  return tokens;
}

/// Greedy longest match by trying every token everywhere.
inline std::vector<std::int32_t> naive_encode(const token_bytes& tokens, std::string_view text) {
  std::vector<std::int32_t> found;
  while (!text.empty()) {
    std::int32_t best = 0;
    std::size_t size = 0;
    for (const auto& [id, bytes] : tokens)
      if (bytes.size() > size && text.starts_with(bytes)) best = id, size = bytes.size();
    found.push_back(best);
    text.remove_prefix(size);
  }
  return found;
}

}  // namespace rwkv7_test
