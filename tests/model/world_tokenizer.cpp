// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
#include "rwkv7/model/world_tokenizer.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <random>

#include "support/reported.hpp"
#include "support/safetensors_writer.hpp"
#include "support/vocabulary.hpp"

using namespace rwkv7_test;
using rwkv7::world_tokenizer;
using ids = std::vector<std::int32_t>;

static_assert(rwkv7::tokenizer<world_tokenizer>);

namespace {

/// Tokens that are beginnings, ends and middles of each other, with gaps between their lengths.
const token_bytes& nested() {
  static const token_bytes tokens = single_bytes_and({"aa",
                                                      "aaaa",
                                                      "aaaaaaaa",
                                                      "ab",
                                                      "abcabc",
                                                      "bca",
                                                      "bcabcabcd",
                                                      "b c",
                                                      " b",
                                                      "  ",
                                                      "    ",
                                                      std::string("\0\0", 2),
                                                      std::string("a\0b", 3),
                                                      "\n\n",
                                                      "\r\n",
                                                      "'\"",
                                                      "\\n",
                                                      "\xff\xff",
                                                      "\xc3\xa9",
                                                      "\xe4\xbd\xa0\xe5\xa5\xbd",
                                                      "\xe4\xbd",
                                                      "\xbd\xa0",
                                                      std::string(128, ' '),
                                                      std::string(1024, 'c')});
  return tokens;
}

std::string decoded(const world_tokenizer& tokenizer, const ids& tokens) {
  std::string text;
  for (const auto token : tokens) text += tokenizer.decode(token);
  return text;
}

/// Random bytes, mostly of the few that the tokens are made of.
std::string random_text(std::mt19937& random, std::size_t size) {
  static const std::string common = std::string("aaaabbcc  \0\n\r'\"\\\xff\xc3\xa9\xe4\xbd\xa0\xe5\xa5", 24);
  std::string text;
  const bool any = random() % 8 == 0;
  while (text.size() < size) text += any ? static_cast<char>(random()) : common[random() % common.size()];
  return text;
}

/// The complaint about the vocabulary `base` with one line more.
std::string refused(const std::string& line, const std::string& base = vocabulary_text(single_bytes())) {
  world_tokenizer tokenizer;
  const auto complaint = reported([&] { tokenizer = world_tokenizer::parse(base + line, "vocab.txt"); });
  CHECK(!tokenizer);
  CHECK(tokenizer.size() == 0);
  return complaint;
}

const std::string at = "rwkv7::world_tokenizer: vocab.txt: line 257: ";

}  // namespace

TEST_CASE("the longest token is taken, as by trying every one") {
  const auto tokenizer = world_tokenizer::parse(vocabulary_text(nested()));
  CHECK(tokenizer.encode("") == ids{});
  CHECK(tokenizer.encode("aaaaa") == ids{258, 98});
  CHECK(tokenizer.encode("abcab") == ids{260, 100, 260});
  CHECK(tokenizer.encode("bcabcabcd") == ids{263});
  CHECK(tokenizer.encode("bcabcabce") == ids{262, 262, 99, 100, 102});
  std::mt19937 random(1);
  int compared = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto text = random_text(random, random() % 60);
    const auto tokens = tokenizer.encode(text);
    compared += static_cast<int>(tokens.size());
    if (tokens == naive_encode(nested(), text) && decoded(tokenizer, tokens) == text) continue;
    FAIL_CHECK("text ", bytes_literal(text));
    return;
  }
  MESSAGE("tokens compared with those of the naive search: ", compared);
  for (const auto& [id, bytes] : nested()) {
    CHECK(tokenizer.encode(bytes) == ids{id});
    CHECK(tokenizer.decode(id) == bytes);
  }
}

TEST_CASE("any bytes come back as they were") {
  const auto tokenizer = world_tokenizer::parse(vocabulary_text(nested()));
  std::mt19937 random(2);
  std::string text = random_text(random, 100000);
  for (int high = 0; high < 256; ++high)
    for (int low = 0; low < 256; ++low) text += {static_cast<char>(high), static_cast<char>(low)};
  CHECK(decoded(tokenizer, tokenizer.encode(text)) == text);
}

TEST_CASE("ids may come in any order and with gaps") {
  auto tokens = single_bytes(1000);
  tokens[7] = "seven";
  tokens[1 << 20] = "last";
  const auto tokenizer = world_tokenizer::parse(vocabulary_text(tokens));
  CHECK(tokenizer.size() == (1 << 20) + 1);
  CHECK(tokenizer.encode("seven, last") == ids{7, 1000 + ',', 1000 + ' ', 1 << 20});
  CHECK(tokenizer.decode(7) == "seven");
  CHECK(tokenizer.decode(8) == "");
  std::string reversed;
  for (auto token = tokens.rbegin(); token != tokens.rend(); ++token)
    reversed += vocabulary_line(token->first, bytes_literal(token->second), token->second.size());
  CHECK(world_tokenizer::parse(reversed).encode("seven, last") == tokenizer.encode("seven, last"));
}

TEST_CASE("a token without bytes decodes to nothing, a negative one is refused") {
  const auto tokenizer = world_tokenizer::parse(vocabulary_text(single_bytes()));
  CHECK(tokenizer.size() == 257);
  CHECK(tokenizer.decode(world_tokenizer::end_of_document) == "");
  CHECK(tokenizer.decode(256) == "\xff");
  for (const std::int32_t token : {257, 65535, std::numeric_limits<std::int32_t>::max()})
    CHECK(tokenizer.decode(token) == "");
  for (const std::int32_t token : {-1, std::numeric_limits<std::int32_t>::min()})
    CHECK(reported([&] { tokenizer.decode(token); }) ==
          "rwkv7::world_tokenizer: token: got " + std::to_string(token) + ", want 0 or more");
}

TEST_CASE("an empty tokenizer refuses to encode") {
  const world_tokenizer tokenizer;
  CHECK(!tokenizer);
  CHECK(tokenizer.size() == 0);
  CHECK(reported([&] { tokenizer.encode("a"); }) == "rwkv7::world_tokenizer: vocabulary: not given");
  CHECK(tokenizer.decode(0) == "");
}

TEST_CASE("LF, CRLF, both, and a last line without either") {
  const auto lf = vocabulary_text(nested()), crlf = vocabulary_text(nested(), "\r\n");
  std::mt19937 random(3);
  const auto text = random_text(random, 5000);
  const auto want = world_tokenizer::parse(lf).encode(text);
  for (const auto& copy :
       {crlf, lf.substr(0, lf.size() - 1), crlf.substr(0, crlf.size() - 1), crlf.substr(0, crlf.size() - 2),
        lf.substr(0, lf.find("\n33 ")) + crlf.substr(crlf.find("\r\n33 "))})
    CHECK(world_tokenizer::parse(copy).encode(text) == want);
}

TEST_CASE("a file gives what its text gives, and is named in complaints") {
  const temporary_file file(vocabulary_text(nested()));
  CHECK(world_tokenizer::open(file.path()).encode("abcabc") == ids{261});
  CHECK(reported([] { world_tokenizer::open("/no/such/file"); }) == "rwkv7::file: /no/such/file: does not exist");
  file.write("one of text\n");
  CHECK(reported([&] { world_tokenizer::open(file.path()); }) ==
        "rwkv7::world_tokenizer: " + rwkv7::detail::shown(file.path()) + ": line 1: id: got one, want 1 to 1048576");
}

TEST_CASE("literals: what Python's repr writes") {
  struct {
    const char* literal;
    std::string bytes;
  } const good[] = {
      {"'plain text'", "plain text"},
      {R"("it's")", "it's"},
      {R"('"\'"')", "\"'\""},
      {R"('say "hi"')", "say \"hi\""},
      {R"("\"\"")", "\"\""},
      {"'   '", "   "},
      {R"('\n\t\r\\')", "\n\t\r\\"},
      {R"('\\n')", "\\n"},
      {R"('\\\\x41')", "\\\\x41"},
      {R"('\x41\x7fz')", "A\x7fz"},
      {R"('\x00\x00')", std::string("\0\0", 2)},
      {R"('\x80')", "\xc2\x80"},
      {R"('\xe9\xFF')", "\xc3\xa9\xc3\xbf"},
      {R"('\u07ff\u0800')", "\xdf\xbf\xe0\xa0\x80"},
      {R"('\ud7ff\ue000\uffff')", "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"},
      {R"('\U00010000\U0010ffff')", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
      {"'\xe4\xbd\xa0\xe5\xa5\xbd'", "\xe4\xbd\xa0\xe5\xa5\xbd"},
      {R"(b'\x80\xff')", "\x80\xff"},
      {R"(b'\xe9a')", "\xe9\x61"},
      {R"(b"'\n")", "'\n"},
      {R"(b'\'"')", "'\""},
      {R"(b'ab')", "ab"},
  };
  for (const auto& [literal, bytes] : good) {
    const auto line = vocabulary_line(300, literal, bytes.size());
    CAPTURE(line);
    const auto tokenizer = world_tokenizer::parse(vocabulary_text(single_bytes()) + line);
    CHECK(tokenizer.decode(300) == bytes);
    CHECK(tokenizer.encode(bytes) == ids{300});
  }
}

TEST_CASE("literals that Python's repr does not write") {
  const auto about = [](const std::string& literal) {
    const auto complaint = refused(vocabulary_line(300, literal, 2));
    const std::string begin = at + "literal: got " + rwkv7::detail::shown(literal, 40) + ", want ";
    CHECK(complaint.starts_with(begin));
    return complaint.substr(std::min(begin.size(), complaint.size()));
  };
  for (const std::string bad :
       {"", "'", "ab", "'ab", "ab'", "'ab\"", "\"ab'", "b", "b'", "bab", "B'ab'", "r'ab'", "u'ab'", "'ab' ", " 'ab'"})
    CHECK(about(bad) == "quotes around it");
  for (const std::string bad : {"'''", "'a'b'", "b'a'b'", "\"a\"b\""})
    CHECK(about(bad) == "a \\ before a quote inside");
  for (const auto& bad : {std::string("'a\tb'"), std::string("'a\0b'", 5), std::string("'\x1f'"),
                          std::string("b'\xc3\xa9'"), std::string("'a\rb'")})
    CHECK(about(bad) == "escapes for what is not a printed character");
  for (const std::string bad : {R"('\')", R"('ab\')", R"('\a')", R"('\0')", R"('\x')", R"('\x4')", R"('\x4g')",
                                R"('\x-1')", R"('\x+1')", R"('\x 1')", R"('\u123')", R"('\u+123')", R"('\U0001234')",
                                R"('\X41')", R"('\N{DASH}')", R"(b'\u0041')", R"(b'\U00000041')", R"(b'\x1')"})
    CHECK(about(bad) == R"(no escape but \n \t \r \\ \' \" \xHH, and \uHHHH and \UHHHHHHHH without b)");
  for (const std::string bad : {R"('\U00110000')", R"('\Uffffffff')"}) CHECK(about(bad) == "code points up to 10FFFF");
  for (const std::string bad : {R"('\ud800')", R"('\udfff')", R"('\ud83d\ude00')", "'\xff'", "'\xc3'", "'\xc0\x80'",
                                "'\xed\xa0\x80'", "'\xf4\x90\x80\x80'", "'\xe4\xbd'", "'\x80'"})
    CHECK(about(bad) == "UTF-8, without surrogates");
}

TEST_CASE("lines that are no tokens") {
  for (const std::string bad : {"", "300", "300 'ab'", "'ab'"})
    CHECK(refused(bad + "\n") == at + "fields: got " + bad + ", want <id> <literal> <length>");
  for (const std::string bad : {"", "0", "-1", "+1", "x", "3x", "3.0", "0x10", "1048577", "4294967296", "4294967297",
                                "9223372036854775807", "9223372036854775808", "18446744073709551617"})
    CHECK(refused(bad + " 'ab' 2") == at + "id: got " + bad + ", want 1 to 1048576");
  for (const std::string bad : {"", "0", "1", "3", "-2", "2x", "x", "4294967298", "18446744073709551618"})
    CHECK(refused("300 'ab' " + bad) == at + "length: got " + bad + ", want 2");
  CHECK(refused("300 '\xc3\xa9' 1\n") == at + "length: got 1, want 2");
  CHECK(refused("300 '' 0\n") == at + "bytes: got 0, want 1 to 1024");
  CHECK(refused(vocabulary_line(300, bytes_literal(std::string(1025, 'x')), 1025)) ==
        at + "bytes: got 1025, want 1 to 1024");
  CHECK(refused("300 'ab' 2\n\n301 'cd' 2\n") ==
        "rwkv7::world_tokenizer: vocab.txt: line 258: fields: got , want <id> <literal> <length>");
  CHECK(refused("300 'ab' 2\r\r\n") == at + "length: got 2?, want 2");
}

TEST_CASE("an id or a token that is there twice") {
  CHECK(refused("300 'ab' 2\n301 'cd' 2\n300 'ef' 2\n") ==
        "rwkv7::world_tokenizer: vocab.txt: line 259: id: got 300 again, as in line 257, want each id once");
  CHECK(refused("1 'ab' 2\n") == at + "id: got 1 again, as in line 1, want each id once");
  CHECK(refused("300 'ab' 2\n301 'cd' 2\n299 b'\\x61b' 2\n") ==
        "rwkv7::world_tokenizer: vocab.txt: line 259: literal: got the token of line 257, want each token once");
  CHECK(refused("300 'a' 1\n") == at + "literal: got the token of line 98, want each token once");
}

TEST_CASE("a vocabulary without one of the single bytes, or without anything") {
  const auto missing = [](const std::string& text) { return refused("", text); };
  const auto want = [](const std::string& byte) {
    return "rwkv7::world_tokenizer: vocab.txt: has no token for the byte " + byte + " alone, want one for every byte";
  };
  CHECK(missing("") == want("00"));
  CHECK(missing("1 'ab' 2\n") == want("00"));
  for (const int byte : {0, 10, 127, 128, 255}) {
    auto tokens = nested();
    tokens.erase(byte + 1);
    std::string digits = bytes_literal(std::string(1, static_cast<char>(byte))).substr(4, 2);
    CHECK(missing(vocabulary_text(tokens)) == want(digits));
  }
}

TEST_CASE("sizes made to use up memory or time") {
  CHECK(refused("", std::string((16u << 20) + 1, '\n')) ==
        "rwkv7::world_tokenizer: vocab.txt: size: got 16777217 bytes, want at most 16777216");
  const std::string line(1 << 20, 'x');
  CHECK(refused(line).starts_with(at + "fields: got ...xxx"));
  CHECK(refused(line + " 'ab' 2").starts_with(at + "id: got ...xxx"));
  CHECK(refused("300 'ab' " + line).starts_with(at + "length: got ...xxx"));
  CHECK(refused("300 '" + line + "' 1048576").starts_with(at + "bytes: got 1048576, want 1 to 1024"));
  CHECK(refused("300 " + std::string(1 << 20, ' ') + " 2").ends_with(", want quotes around it"));
}
