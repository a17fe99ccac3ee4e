// SPDX-License-Identifier: MIT
/// From bytes to tokens and back.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <vector>

#include "rwkv7/core/check.hpp"

namespace rwkv7 {

/// What a program needs of any tokenizer. Text is bytes: no normalisation, and a token need not be whole UTF-8.
///   size()           how many tokens there are; they are 0 … size() - 1
///   encode(bytes)    the tokens of any byte string
///   decode(token)    the bytes of one token, valid as long as the tokenizer
template <class K>
concept tokenizer = requires(const K& k, std::string_view bytes, std::int32_t token) {
  { k.size() } -> std::convertible_to<index_t>;
  { k.encode(bytes) } -> std::same_as<std::vector<std::int32_t>>;
  { k.decode(token) } -> std::same_as<std::string_view>;
};

namespace detail {
inline constexpr auto all_bytes = [] {
  std::array<char, 256> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(static_cast<unsigned char>(i));
  return bytes;
}();
}  // namespace detail

/// Token = byte, as in models with V = 256.
class byte_tokenizer {
 public:
  /// 256.
  static constexpr index_t size() noexcept { return 256; }

  /// One token per byte; total and inverse to decode.
  static std::vector<std::int32_t> encode(std::string_view bytes) {
    std::vector<std::int32_t> tokens(bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) tokens[i] = static_cast<unsigned char>(bytes[i]);
    return tokens;
  }

  /// The one byte of a token. rwkv7::error for a token outside [0, 256); where exceptions are off the result is empty.
  static std::string_view decode(std::int32_t token) {
    if (token >= 0 && token < size()) return {detail::all_bytes.data() + token, 1};
    diagnosis problem;
    problem.complain("rwkv7::byte_tokenizer: token: got %lld, want 0 to 255", static_cast<long long>(token));
    report(problem);
    return {};
  }
};

}  // namespace rwkv7
