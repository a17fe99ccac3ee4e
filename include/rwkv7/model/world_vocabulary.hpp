// SPDX-License-Identifier: MIT
/// Reads vocabulary files of the RWKV World models: one token in a line, `<id> <Python literal> <length in bytes>`.
///
/// The literal is a str, which stands for its UTF-8, or bytes: 'caf\xe9' and b'caf\xc3\xa9' are one token. It is in the
/// form that Python's repr writes. Lines end with LF or CRLF, the last one also with the file. Ids may come in any
/// order.
#pragma once

#include <bitset>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rwkv7/model/file_map.hpp"
#include "rwkv7/model/utf8_stream.hpp"

namespace rwkv7::detail {

/// Appends what a Python literal stands for. What it should have been like, or nothing.
inline const char* append_literal(std::string& to, std::string_view literal) {
  const bool is_bytes = literal.starts_with('b');
  if (is_bytes) literal.remove_prefix(1);
  if (literal.size() < 2 || (literal[0] != '\'' && literal[0] != '"') || literal.back() != literal[0])
    return "quotes around it";
  const char quote = literal[0];
  literal = literal.substr(1, literal.size() - 2);
  const std::size_t begin = to.size();
  const auto take = [&] {
    const char c = literal.front();
    literal.remove_prefix(1);
    return c;
  };
  while (!literal.empty()) {
    char c = take();
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote) return "a \\ before a quote inside";
    if (byte < 0x20 || (is_bytes && byte > 0x7f)) return "escapes for what is not a printed character";
    if (c != '\\') {
      to += c;
      continue;
    }
    c = literal.empty() ? '\0' : take();
    if (const auto plain = std::string_view("ntr\\'\"").find(c); plain != std::string_view::npos) {
      to += "\n\t\r\\'\""[plain];
      continue;
    }
    const std::size_t digits = c == 'x' ? 2 : is_bytes ? 0 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    std::uint32_t code = 0;
    if (digits == 0 || digits > literal.size() ||
        std::from_chars(literal.data(), literal.data() + digits, code, 16).ptr != literal.data() + digits)
      return "no escape but \\n \\t \\r \\\\ \\' \\\" \\xHH, and \\uHHHH and \\UHHHHHHHH without b";
    literal.remove_prefix(digits);
    const auto add = [&](std::uint32_t value) { to += static_cast<char>(static_cast<unsigned char>(value)); };
    const auto add_six = [&](int shift) { add(0x80 | (code >> shift & 0x3f)); };
    if (is_bytes || code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xc0 | code >> 6), add_six(0);
    } else if (code < 0x10000) {
      add(0xe0 | code >> 12), add_six(6), add_six(0);
    } else if (code < 0x110000) {
      add(0xf0 | code >> 18), add_six(12), add_six(6), add_six(0);
    } else {
      return "code points up to 10FFFF";
    }
  }
  if (is_bytes) return nullptr;
  for (auto rest = std::string_view(to).substr(begin); !rest.empty();) {
    const auto size = code_point_size(rest);
    if (size == 0 || size > rest.size()) return "UTF-8, without surrogates";
    rest.remove_prefix(size);
  }
  return nullptr;
}

/// The tokens of a vocabulary file by their ids, which need not be all there.
struct world_vocabulary {
  // Against files made to use up memory or time. The published vocabulary: 1.1 MB, ids up to 65529, 128 bytes.
  static constexpr std::size_t most_text = std::size_t{16} << 20;
  static constexpr std::size_t most_ids = std::size_t{1} << 20;
  static constexpr std::size_t longest_token = 1024;

  struct place {
    std::uint32_t begin = 0, size = 0;  // in `bytes`; no size where the id has no token
  };
  std::string bytes;
  std::vector<place> places;         // by id; 0 has no token
  std::vector<std::uint32_t> lines;  // by id, for messages
  std::string name;

  std::string_view token(std::size_t id) const noexcept {
    return std::string_view(bytes).substr(places[id].begin, places[id].size);
  }
  void complain(diagnosis& problem, std::size_t line, const char* what, std::string_view got, const char* want) const {
    problem.complain("rwkv7::world_tokenizer: %s: line %llu: %s: got %s, want %s", name.c_str(),
                     static_cast<unsigned long long>(line), what, shown(got, 40).c_str(), want);
  }

  diagnosis read(std::string_view text) {
    diagnosis problem;
    if (text.size() > most_text)
      problem.complain("rwkv7::world_tokenizer: %s: size: got %llu bytes, want at most %llu", name.c_str(),
                       static_cast<unsigned long long>(text.size()), static_cast<unsigned long long>(most_text));
    places.resize(1), lines.resize(1);
    std::bitset<256> single;
    for (std::size_t line = 1; !text.empty() && !problem; ++line) {
      const auto end = text.find('\n');
      const auto content = text.substr(0, end);
      text.remove_prefix(end == text.npos ? text.size() : end + 1);
      const auto token =
          read_line(content.ends_with('\r') ? content.substr(0, content.size() - 1) : content, line, problem);
      if (token.size() == 1) single.set(static_cast<unsigned char>(token[0]));
    }
    for (unsigned byte = 0; byte < single.size(); ++byte)
      if (!single[byte])
        problem.complain("rwkv7::world_tokenizer: %s: has no token for the byte %02x alone, want one for every byte",
                         name.c_str(), byte);
    return problem;
  }

 private:
  std::string_view read_line(std::string_view text, std::size_t line, diagnosis& problem) {
    const auto refuse = [&](const char* what, std::string_view got, const char* want) {
      complain(problem, line, what, got, want);
      return std::string_view();
    };
    const auto first = text.find(' '), last = text.rfind(' ');
    if (first == last) return refuse("fields", text, "<id> <literal> <length>");
    const auto id = text.substr(0, first), literal = text.substr(first + 1, last - first - 1);
    const auto number = parsed(id);
    if (number < 1 || number > most_ids) return refuse("id", id, "1 to 1048576");
    if (number < places.size() && lines[number] != 0)
      return refuse("id", std::string(id) + " again, as in line " + std::to_string(lines[number]), "each id once");

    const std::size_t begin = bytes.size();
    if (const char* want = append_literal(bytes, literal)) return refuse("literal", literal, want);
    const std::size_t size = bytes.size() - begin;
    if (size < 1 || size > longest_token) return refuse("bytes", std::to_string(size), "1 to 1024");
    const auto length = text.substr(last + 1);
    if (parsed(length) != size) return refuse("length", length, std::to_string(size).c_str());
    if (number >= places.size()) places.resize(number + 1), lines.resize(number + 1);
    places[number] = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size)};
    lines[number] = static_cast<std::uint32_t>(line);
    return token(number);
  }

  /// 0 for what is no number.
  static std::uint32_t parsed(std::string_view digits) noexcept {
    std::uint32_t value = 0;
    const auto [stop, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return failure == std::errc() && stop == digits.data() + digits.size() ? value : 0;
  }
};

}  // namespace rwkv7::detail
