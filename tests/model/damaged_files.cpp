// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// Small files of each format, cut anywhere and with any one bit turned over: each is refused in words, or all its
// tensors can be read. Worth most under the address sanitizer.
#include <doctest/doctest.h>

#include <cstdio>

#include "rwkv7/model/gguf_writer.hpp"
#include "rwkv7/model/pth.hpp"
#include "rwkv7/model/pth_writer.hpp"
#include "rwkv7/model/safetensors.hpp"
#include "rwkv7/model/safetensors_writer.hpp"
#include "support/read_bytes.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_checkpoint.hpp"
#include "support/use_tensors.hpp"

using namespace rwkv7_test;

namespace {

/// A file of two tensors, as our writer has it.
struct victim {
  rwkv7::detail::read_tensors read;
  const char* format;
  std::string content;
  std::size_t header;  // bytes that are no tensor's, from the first on; all of them for .pth
};

const std::vector<victim>& victims() {
  static const std::vector<victim> all = [] {
    const temporary_folder folder;
    auto pair = tiny_pair();
    const auto& tensors = pair.file().tensors;
    const auto ignore = [](std::size_t) {};
    const auto x = folder.file("x"), y = folder.file("y"), z = folder.file("z");
    CHECK(!rwkv7::write_safetensors(x, tensors, {{"format", "pt"}}, ignore));
    CHECK(!rwkv7::write_gguf(
        y, tensors, {{"general.architecture", "rwkv7"}, {"list", std::vector<std::string>{"a", "b"}}}, ignore));
    CHECK(!rwkv7::write_pth(z, tensors, ignore));
    tiny_tensors quantised;
    quantised.add("a", rwkv7::storage::int4, {3, 32});
    const auto q = folder.file("q");
    CHECK(!rwkv7::write_safetensors(q, quantised.file().tensors, {}, ignore));
    const auto pth = content_of(z);
    return std::vector<victim>{
        {rwkv7::detail::read_safetensors, "safetensors", content_of(x), content_of(x).size() - 34},
        {rwkv7::detail::read_safetensors, "safetensors", content_of(q), content_of(q).size() - 288},
        {rwkv7::detail::read_gguf, "gguf", content_of(y), content_of(y).size() - 64},
        {rwkv7::detail::read_pth, "pth", pth, pth.size()}};
  }();
  return all;
}

struct trial {
  int refused = 0, opened = 0;

  void operator()(const victim& v, const std::string& content) {
    const read_result got(v.read, v.format, content);
    ++(got.complaint.empty() ? opened : refused);
    if (got.complaint.empty()) use_tensors(got.file.tensors);
    // In words, on one line.
    for (const char c : got.complaint) CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
};

}  // namespace

TEST_CASE("a file cut anywhere is refused, or lacks nothing that matters") {
  for (const auto& v : victims()) {
    CAPTURE(v.format);
    trial open;
    open(v, v.content);
    CHECK(open.opened == 1);
    for (std::size_t size = 0; size < v.content.size(); ++size) {
      open(v, v.content.substr(0, size));
      // GGUF ends in padding; a zip archive in the length of a comment and the high byte of an offset, all of them 0.
      const bool zeros = v.content.find_first_not_of('\0', size) == std::string::npos;
      CHECK(open.opened == (zeros && v.format != std::string("safetensors") ? open.opened : 1));
    }
    std::printf("%-11s cut: %d files refused, %d opened\n", v.format, open.refused, open.opened);
  }
}

TEST_CASE("a file with one bit turned over outside the data is refused or harmless") {
  for (const auto& v : victims()) {
    trial open;
    for (std::size_t bit = 0; bit < 8 * v.header; ++bit) {
      auto content = v.content;
      content[bit / 8] = static_cast<char>(static_cast<unsigned char>(content[bit / 8]) ^ 1u << bit % 8);
      open(v, content);
    }
    std::printf("%-11s one bit: %d files refused, %d opened and read\n", v.format, open.refused, open.opened);
  }
}

TEST_CASE("a file with one byte set to any value outside the data is refused or harmless") {
  for (const auto& v : victims()) {
    trial open;
    for (std::size_t at = 0; at < v.header; ++at)
      for (const char byte : {'\x00', '\x01', '\x7f', '\x80', '\xff', '(', '.', '0', '9', '}', '"'}) {
        auto content = v.content;
        content[at] = byte;
        open(v, content);
      }
    std::printf("%-11s one byte: %d files refused, %d opened and read\n", v.format, open.refused, open.opened);
  }
}
