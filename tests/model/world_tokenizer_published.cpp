// SPDX-License-Identifier: MIT
// The published vocabulary of the World models, against encodings made elsewhere. Needs RWKV7_TEST_DATA.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>

#include "rwkv7/model/world_tokenizer.hpp"
#include "support/skip.hpp"
#include "support/vocabulary.hpp"

using namespace rwkv7_test;
using rwkv7::world_tokenizer;
using ids = std::vector<std::int32_t>;

namespace {

const std::string folder = RWKV7_TEST_DATA_DIR;
const std::string path = folder + "/rwkv_vocab_v20230424.txt";

bool data_missing() {
  if (!folder.empty()) return false;
  skip("the published vocabulary: RWKV7_TEST_DATA is not set");
  return true;
}

const world_tokenizer& published() {
  static const auto tokenizer = world_tokenizer::open(path);
  return tokenizer;
}

std::string text_of_file() {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string decoded(const ids& tokens) {
  std::string text;
  for (const auto token : tokens) text += published().decode(token);
  return text;
}

/// Random tokens in a row, and some random bytes.
std::string random_text(std::mt19937& random, std::size_t size) {
  std::string text;
  while (text.size() < size)
    text += random() % 4 == 0 ? std::string(1, static_cast<char>(random()))
                              : std::string(published().decode(static_cast<std::int32_t>(random() % 65530)));
  return text;
}

}  // namespace

TEST_CASE("sizes are those of the file") {
  if (data_missing()) return;
  CHECK(published().size() == 65530);
  std::size_t bytes = 0, longest = 0;
  for (std::int32_t id = 0; id < 65530; ++id) {
    bytes += published().decode(id).size();
    longest = std::max(longest, published().decode(id).size());
    CHECK(published().decode(id).empty() == (id == 0));
  }
  CHECK(bytes == 373358);
  CHECK(longest == 128);
  for (std::int32_t id = 65530; id < 65536; ++id) CHECK(published().decode(id) == "");
}

TEST_CASE("all expected encodings, and back") {
  if (data_missing()) return;
  const auto expected = nlohmann::json::parse(std::ifstream(folder + "/rwkv-world-tokenizer-expected.json"));
  int compared = 0;
  const auto check = [&](const std::string& text, const ids& want) {
    CAPTURE(text);
    CHECK(published().encode(text) == want);
    CHECK(decoded(want) == text);
    ++compared;
  };
  for (const auto& entry : expected["text"]) check(entry["text"], entry["tokens"]);
  for (const auto& entry : expected["bytes"]) {
    const std::string digits = entry["bytes_hex"];
    std::string bytes;
    for (std::size_t i = 0; i < digits.size(); i += 2)
      bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    check(bytes, entry["tokens"]);
  }
  CHECK(compared == 18);
}

TEST_CASE("every token's bytes are that token") {
  if (data_missing()) return;
  int wrong = 0;
  for (std::int32_t id = 1; id < 65530; ++id) wrong += published().encode(published().decode(id)) != ids{id};
  CHECK(wrong == 0);
}

TEST_CASE("the longest token is taken, as by trying every one") {
  if (data_missing()) return;
  token_bytes tokens;
  for (std::int32_t id = 1; id < 65530; ++id) tokens[id] = published().decode(id);
  std::mt19937 random(1);
  for (int i = 0; i < 20; ++i) {
    const auto text = random_text(random, 100);
    CHECK(published().encode(text) == naive_encode(tokens, text));
  }
}

TEST_CASE("any bytes come back as they were") {
  if (data_missing()) return;
  std::mt19937 random(2);
  const auto text = random_text(random, 1000000) + text_of_file();
  CHECK(decoded(published().encode(text)) == text);
}

TEST_CASE("a copy with CRLF, or without its last line's end, is the same vocabulary") {
  if (data_missing()) return;
  std::string lf = text_of_file(), crlf;
  for (const char c : lf) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  CHECK(crlf.size() == lf.size() + 65529);
  lf.pop_back();
  for (const auto& copy : {lf, crlf, crlf.substr(0, crlf.size() - 2), crlf.substr(0, crlf.size() - 1)}) {
    const auto tokenizer = world_tokenizer::parse(copy);
    CHECK(tokenizer.size() == 65530);
    int wrong = 0;
    for (std::int32_t id = 0; id < 65530; ++id) wrong += tokenizer.decode(id) != published().decode(id);
    CHECK(wrong == 0);
    CHECK(tokenizer.encode(crlf) == published().encode(crlf));
  }
}
