// SPDX-License-Identifier: MIT
// Damaged checkpoints, thousands of them: each is refused with rwkv7::error or is a model that runs. Worth most under
// the address sanitizer.
#include <doctest/doctest.h>

#include <cstdio>
#include <random>

#include "rwkv7/exec/reference.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"

using namespace rwkv7_test;
using rwkv7::x070;

namespace {

/// Opens the file, and uses what opens: all parameters are read, so all of them must be there.
struct trial {
  int refused = 0, opened = 0;

  void operator()(const temporary_file& file) {
    try {
      auto model = language_model<x070>::open(file.path());
      ++opened;
      std::vector<std::byte> memory(model.weights_size());
      model.pack(memory);
      rwkv7::reference_executor exec;
      state_pool<float> state(model, 1);
      prefill(model, exec, some_tokens("mutated", 2, model.sizes().V), 2, state);
    } catch (const rwkv7::error&) {
      ++refused;
    }
  }
};

/// The n16 model with space to spare in its header, so that a changed header fits where the right one was.
struct victim {
  std::string header;
  std::size_t size;
  temporary_file file{""};

  victim() {
    const std::string all = safetensors_bytes(golden_model("n16").checkpoint());
    std::size_t length = 0;
    for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(all[i]);
    header = all.substr(8, length);
    size = length + 512;
    file.write(safetensors_bytes(padded(header), all.substr(8 + length)));
  }
  std::string padded(std::string text) const {
    text.resize(size, ' ');
    return text;
  }
  void replace_header(const std::string& text) const { file.overwrite(safetensors_bytes(padded(text), "")); }
};

}  // namespace

TEST_CASE("a file cut anywhere is refused") {
  const victim whole;
  const auto file_size = std::filesystem::file_size(whole.file.path()), header_end = 8 + whole.size;
  trial open;
  open(whole.file);
  CHECK(open.opened == 1);
  int cuts = 0;
  for (auto size = file_size; size-- > 0; ++cuts) {
    if (size == file_size - 64) size = header_end + 64;
    std::filesystem::resize_file(whole.file.path(), size);
    open(whole.file);
  }
  CHECK(open.opened == 1);
  CHECK(open.refused == cuts);
}

TEST_CASE("a header with damaged bytes is refused or harmless") {
  const victim whole;
  std::mt19937 random(7);
  trial open;
  for (int i = 0; i < 3000; ++i) {
    auto all = safetensors_bytes(whole.padded(whole.header), "");
    // Mostly in the header, also in its size; one byte or a few.
    for (auto n = 1 + random() % 3; n-- > 0;) {
      auto& byte = all[random() % (i % 8 == 0 ? 8 : 8 + whole.header.size())];
      const auto flipped = static_cast<unsigned char>(byte) ^ 1u << random() % 8;
      byte = static_cast<char>(i % 2 == 0 ? flipped : random());
    }
    whole.file.overwrite(all);
    open(whole.file);
  }
  CHECK(open.refused + open.opened == 3000);
  std::printf("damaged bytes: %d files refused, %d opened and run\n", open.refused, open.opened);
}

TEST_CASE("a header with other numbers is refused or harmless") {
  const victim whole;
  std::mt19937 random(8);
  trial open;
  const char* const numbers[] = {"0",
                                 "1",
                                 "2",
                                 "3",
                                 "16",
                                 "47",
                                 "48",
                                 "49",
                                 "-1",
                                 "1e3",
                                 "4294967296",
                                 "2147483648",
                                 "9223372036854775807",
                                 "9223372036854775808",
                                 "18446744073709551615",
                                 "1e400",
                                 "\"\"",
                                 "[]",
                                 "null"};
  const auto is_digit = [&](std::size_t at) { return whole.header[at] >= '0' && whole.header[at] <= '9'; };
  for (int i = 0; i < 3000; ++i) {
    auto begin = random() % whole.header.size();
    while (!is_digit(begin)) begin = (begin + 1) % whole.header.size();
    while (is_digit(begin - 1)) --begin;
    auto end = begin;
    while (is_digit(end)) ++end;
    auto header = whole.header;
    header.replace(begin, end - begin, numbers[random() % std::size(numbers)]);
    whole.replace_header(header);
    open(whole.file);
  }
  CHECK(open.refused + open.opened == 3000);
  std::printf("other numbers: %d files refused, %d opened and run\n", open.refused, open.opened);
}

TEST_CASE("a file whose parts come in another order is refused or harmless") {
  const victim whole;
  std::mt19937 random(9);
  trial open;
  for (int i = 0; i < 1000; ++i) {
    auto header = whole.header;
    const auto from = random() % header.size(), count = random() % 200, to = random() % header.size();
    const auto piece = header.substr(from, count);
    if (i % 2 == 0) header.erase(from, count);
    header.insert(std::min<std::size_t>(to, header.size()), piece);
    whole.replace_header(header);
    open(whole.file);
  }
  CHECK(open.refused + open.opened == 1000);
  std::printf("moved pieces: %d files refused, %d opened and run\n", open.refused, open.opened);
}
