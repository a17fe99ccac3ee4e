// SPDX-License-Identifier: MIT
/// The tokenizer that goes with a model, found at run time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <rwkv7/model/world_tokenizer.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "options.hpp"

namespace examples {

/// World tokens where a vocabulary file is named, else bytes where the model has 256 tokens, else none.
class any_tokenizer {
 public:
  any_tokenizer(const std::string& vocabulary, rwkv7::index_t V) : V_(V) {
    if (!vocabulary.empty())
      kind_ = rwkv7::world_tokenizer::open(vocabulary);
    else if (V == rwkv7::byte_tokenizer::size())
      kind_ = rwkv7::byte_tokenizer();
  }

  /// False where there is none.
  explicit operator bool() const { return kind_.index() != 0; }

  /// Throws bad_input where there is none, and for a text that needs a token which the model does not have.
  std::vector<std::int32_t> encode(const std::string& what, std::string_view text) const {
    if (!*this)
      throw bad_input(what + " needs a model of 256 tokens, one per byte, or --vocab; this one has " +
                      std::to_string(V_) + " tokens");
    const auto tokens = use<std::vector<std::int32_t>>([&](const auto& t) { return t.encode(text); });
    const auto largest = std::max_element(tokens.begin(), tokens.end());
    if (largest != tokens.end() && *largest >= V_)
      throw bad_input("--vocab: got token " + std::to_string(*largest) + " from the text, want less than the model's " +
                      std::to_string(V_));
    return tokens;
  }
  std::string_view decode(std::int32_t token) const {
    return use<std::string_view>([&](const auto& t) { return t.decode(token); });
  }
  /// Whether a token of its own parts documents: 0, in World models.
  bool has_end_of_document() const { return std::holds_alternative<rwkv7::world_tokenizer>(kind_); }

 private:
  template <class Result, class F>
  Result use(F f) const {
    if (const auto* world = std::get_if<rwkv7::world_tokenizer>(&kind_)) return f(*world);
    return f(rwkv7::byte_tokenizer());
  }

  rwkv7::index_t V_;
  std::variant<std::monostate, rwkv7::byte_tokenizer, rwkv7::world_tokenizer> kind_;
};

}  // namespace examples
