// SPDX-License-Identifier: MIT
/// A World vocabulary inside a GGUF file, as llama.cpp's tokenizer "rwkv" reads it.
#pragma once

#include "rwkv7/model/gguf_writer.hpp"
#include "rwkv7/model/world_tokenizer.hpp"

namespace rwkv7 {

namespace detail {

/// The bytes of a token as printable text: \\, \t, \n, \r and \xHH.
inline std::string gguf_token_text(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\')
      text += "\\\\";
    else if (c == '\t')
      text += "\\t";
    else if (c == '\n')
      text += "\\n";
    else if (c == '\r')
      text += "\\r";
    else if (byte < 0x20 || byte >= 0x7f)
      text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    else
      text += c;
  }
  return text;
}

}  // namespace detail

/// The entries for a model of V tokens: token 0 ends a document; a token the vocabulary lacks is marked as unused.
inline std::vector<gguf_entry> gguf_vocabulary(const world_tokenizer& vocabulary, index_t V) {
  constexpr std::int32_t normal = 1, control = 3, unused = 5;
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
  for (std::int32_t token = 0; token < V; ++token) {
    const auto bytes = vocabulary.decode(token);
    const bool end = token == world_tokenizer::end_of_document;
    texts.push_back(end             ? "<s>"
                    : bytes.empty() ? "[PAD" + std::to_string(token) + "]"
                                    : detail::gguf_token_text(bytes));
    types.push_back(end ? control : bytes.empty() ? unused : normal);
  }
  std::vector<gguf_entry> entries{{"tokenizer.ggml.model", "rwkv"},
                                  {"tokenizer.ggml.tokens", std::move(texts)},
                                  {"tokenizer.ggml.token_type", std::move(types)},
                                  {"tokenizer.ggml.bos_token_id", std::uint32_t{0}},
                                  {"tokenizer.ggml.eos_token_id", std::uint32_t{0}}};
  // A blank line ends a turn of a chat, where the vocabulary has one as a token.
  if (const auto turn = vocabulary.encode("\n\n"); turn.size() == 1)
    entries.push_back({"tokenizer.ggml.eot_token_id", static_cast<std::uint32_t>(turn.front())});
  return entries;
}

}  // namespace rwkv7
