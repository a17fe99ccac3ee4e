// SPDX-License-Identifier: MIT
// Damaged vocabularies, tens of thousands of them: each is refused with rwkv7::error or is a tokenizer for any bytes.
// Worth most under the address sanitizer.
#include <doctest/doctest.h>

#include <cstdio>
#include <random>

#include "rwkv7/model/world_tokenizer.hpp"
#include "support/vocabulary.hpp"

using namespace rwkv7_test;
using rwkv7::world_tokenizer;

namespace {

const std::string& vocabulary() {
  static const std::string text = vocabulary_text(single_bytes_and({"ab", "abc", "bcd"})) +
                                  "300 'it\\'s \\\\ \\n\\t\\r' 10\n301 \"it's\" 4\n302 '\\xe9\\u4f60\\U0001f642' "
                                  "9\n303 'caf\xc3\xa9' 5\r\n304 b'\\xe4\\xbd' 2";
  return text;
}

struct trial {
  int refused = 0, opened = 0, unnamed = 0, wrong = 0;

  void operator()(const std::string& text) {
    try {
      const auto tokenizer = world_tokenizer::parse(text, "mutated");
      ++opened;
      std::string back;
      for (const auto token : tokenizer.encode(bytes())) {
        back += tokenizer.decode(token);
        if (token < 1 || token >= tokenizer.size()) ++wrong;
      }
      if (back != bytes()) ++wrong;
    } catch (const rwkv7::error& e) {
      ++refused;
      if (!std::string_view(e.what()).starts_with("rwkv7::world_tokenizer: mutated: ")) ++unnamed;
    }
  }
  void check(const char* what, int tried) const {
    CHECK(refused + opened == tried);
    CHECK(unnamed == 0);
    CHECK(wrong == 0);
    std::printf("%s: %d vocabularies, %d refused, %d opened and total\n", what, tried, refused, opened);
  }

 private:
  static const std::string& bytes() {
    static const std::string all = [] {
      std::string text = "abcdabcabcafe caf\xc3\xa9 it's it's \\ \n\t\r\xe4\xbd\xa0\xf0\x9f\x99\x82";
      for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
      return text;
    }();
    return all;
  }
};

}  // namespace

TEST_CASE("a vocabulary cut anywhere is refused, but for whole lines after the single bytes") {
  trial open;
  open(vocabulary());
  CHECK(open.opened == 1);
  const auto size = static_cast<int>(vocabulary().size());
  std::string text = vocabulary();
  while (!text.empty()) {
    text.pop_back();
    open(text);
  }
  // Whole, and after the single bytes or any of 7 lines, with or without LF; one of them has CR too.
  CHECK(open.opened == 1 + (1 + 7) * 2 + 1);
  open.check("cut at every byte", size + 1);
}

TEST_CASE("a vocabulary with any bit flipped is refused or total") {
  trial open;
  std::string text = vocabulary();
  for (auto& byte : text)
    for (int bit = 0; bit < 8; ++bit) {
      byte = static_cast<char>(byte ^ (1 << bit));
      open(text);
      byte = static_cast<char>(byte ^ (1 << bit));
    }
  open.check("every bit flipped", static_cast<int>(8 * text.size()));
}

TEST_CASE("a vocabulary with bytes put in, taken out, or moved is refused or total") {
  trial open;
  std::mt19937 random(1);
  const std::string interesting("\n\r \\'\"bxuU0123456789af\0\xc3\xff", 25);
  const auto begin = vocabulary().find("\n250 ");
  for (int i = 0; i < 10000; ++i) {
    auto text = vocabulary();
    for (auto n = 1 + random() % 3; n-- > 0;) {
      const auto at = (i % 2 == 0 ? begin : 0) + random() % (text.size() - (i % 2 == 0 ? begin : 0));
      const auto from = random() % text.size(), size = random() % 30;
      const auto piece = text.substr(from, size);
      switch (random() % 4) {
        case 0:
          text.insert(at, 1, interesting[random() % interesting.size()]);
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        case 2:
          text.insert(at, piece);
          break;
        default:
          text[at] = interesting[random() % interesting.size()];
      }
    }
    open(text);
  }
  open.check("random changes", 10000);
}

TEST_CASE("bytes that are no vocabulary at all are refused") {
  trial open;
  std::mt19937 random(2);
  for (int i = 0; i < 5000; ++i) {
    std::string text(random() % 200, '\0');
    for (auto& c : text) c = static_cast<char>(random());
    open(text);
  }
  CHECK(open.opened == 0);
  open.check("random bytes", 5000);
}
