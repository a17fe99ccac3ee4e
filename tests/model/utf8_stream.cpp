// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
#include "rwkv7/model/utf8_stream.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using rwkv7::utf8_stream;

namespace {

/// What is shown of `pieces`, with a | after every piece.
std::string shown(const std::vector<std::string>& pieces) {
  utf8_stream stream;
  std::string all;
  for (const auto& piece : pieces) all += std::string(stream.push(piece)) + "|";
  return all + std::string(stream.finish());
}

/// The UTF-8 of a code point, and of a number that is none: also a surrogate, also one in a longer form than needed.
std::string encoded(std::uint32_t code, int size) {
  if (size == 1) return std::string(1, static_cast<char>(code));
  std::string bytes;
  for (int i = size; i-- > 1; code >>= 6) bytes.insert(bytes.begin(), static_cast<char>(0x80 | (code & 0x3f)));
  const std::uint32_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
  bytes.insert(bytes.begin(), static_cast<char>(marks[size] | code));
  return bytes;
}

/// Every code point there is, as UTF-8.
const std::string& all_code_points() {
  static const std::string text = [] {
    std::string all;
    for (std::uint32_t code = 0; code < 0x110000; ++code)
      if (code < 0xd800 || code > 0xdfff)
        all += encoded(code, code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
    return all;
  }();
  return text;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

TEST_CASE("the beginning of a code point waits for the rest of it") {
  CHECK(shown({"caf\xc3", "\xa9!"}) == "caf|\xc3\xa9!|");
  CHECK(shown({"\xe4", "\xbd", "\xa0"}) == "||\xe4\xbd\xa0|");
  CHECK(shown({"a\xf0\x9f", "\x99", "\x82z"}) == "a||\xf0\x9f\x99\x82z|");
  CHECK(shown({"", "a", ""}) == "|a||");
}

TEST_CASE("what waits at the end is shown by finish") {
  CHECK(shown({"a\xf0\x9f\x99"}) == "a|\xf0\x9f\x99");
  utf8_stream stream;
  CHECK(stream.push("\xc3") == "");
  CHECK(stream.finish() == "\xc3");
  CHECK(stream.finish() == "");
  CHECK(stream.push("a") == "a");
}

TEST_CASE("what can no longer become a code point passes") {
  for (const std::string bad :
       {"\x80", "\xbf\xbf", "\xc0", "\xc1", "\xe0\x9f", "\xed\xa0", "\xf0\x8f", "\xf4\x90", "\xf5", "\xff", "\xc3\x28",
        "\xe4\xbd\x28", "\xf0\x9f\x99\x28", "\xe4\xe5\x28", "\xc3\xa9\xa9"})
    CHECK(shown({bad}) == bad + "|");
  CHECK(shown({"\xe4", "\xe5"}) == "|\xe4|\xe5");
  CHECK(shown({"\xe0", "\x9f"}) == "|\xe0\x9f|");
  CHECK(shown({"\xf0\x9f\x99", "a"}) ==
        "|\xf0\x9f\x99"
        "a|");
}

TEST_CASE("of every code point, byte by byte, nothing is shown before its last byte") {
  utf8_stream stream;
  const auto& text = all_code_points();
  std::size_t wrong = 0;
  for (std::size_t i = 0, begin = 0; i < text.size(); ++i) {
    const bool last = i + 1 == text.size() || !is_continuation(text[i + 1]);
    const auto out = stream.push({text.data() + i, 1});
    if (out != (last ? std::string_view(text).substr(begin, i + 1 - begin) : "")) ++wrong;
    if (last) begin = i + 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("surrogates, overlong forms and what is above 10FFFF do not wait for their last byte") {
  const auto waits = [](const std::string& bytes) {
    utf8_stream stream;
    return stream.push(std::string_view(bytes).substr(0, bytes.size() - 1)).empty();
  };
  int wrong = 0, tried = 0;
  const auto check = [&](std::uint32_t first, std::uint32_t last, int size, bool want) {
    for (std::uint32_t code = first; code <= last; ++code, ++tried) wrong += waits(encoded(code, size)) != want;
  };
  check(0, 0x7f, 2, false);
  check(0x80, 0x7ff, 2, true);
  check(0, 0x7ff, 3, false);
  check(0x800, 0xd7ff, 3, true);
  check(0xd800, 0xdfff, 3, false);
  check(0xe000, 0xffff, 3, true);
  check(0, 0xffff, 4, false);
  check(0x10000, 0x10ffff, 4, true);
  check(0x110000, 0x1fffff, 4, false);
  CHECK(wrong == 0);
  CHECK(tried == 0x800 + 0x10000 + 0x200000);
}

TEST_CASE("valid text cut anywhere is shown whole and in whole code points; any bytes are shown whole") {
  std::mt19937 random(1);
  const std::string pieces[] = {"a", "\xc3\xa9", "\xe4\xbd\xa0", "\xf0\x9f\x99\x82"};
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text;
    const bool valid = trial % 2 == 0;
    while (text.size() < 12)
      text += valid ? pieces[random() % 4] : std::string(1, "a\x80\xbf\xc3\xe4\xed\xf0\xf4\xff"[random() % 9]);
    utf8_stream stream;
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const auto piece = text.substr(at, random() % 4);
      at += piece.size();
      out += stream.push(piece);
      const bool whole = out.size() == text.size() || !is_continuation(text[out.size()]);
      if (out == text.substr(0, out.size()) && at - out.size() <= 3 && (whole || !valid)) continue;
      FAIL_CHECK("trial ", trial, " after ", at, " bytes");
      return;
    }
    CHECK(out + std::string(stream.finish()) == text);
  }
}
