// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// Right GGUF files, and every way in which one can be wrong.
#include "rwkv7/model/gguf.hpp"

#include <doctest/doctest.h>

#include "support/gguf_builder.hpp"
#include "support/read_bytes.hpp"
#include "support/reported.hpp"
#include "support/safetensors_writer.hpp"

using namespace rwkv7_test;
using gguf::le;
using rwkv7::storage;

namespace {

read_result read(const std::string& content) { return {rwkv7::detail::read_gguf, "gguf", content}; }
std::string complaint(const std::string& content) { return read(content).complaint; }

/// The same for the only tensor x and `size` bytes of data.
std::string complaint_about_tensor(const std::string& tensor, std::size_t size = 64) {
  return complaint(gguf::file({}, {tensor}, std::string(size, 'd')));
}
std::string complaint_about_entry(const std::string& entry) { return complaint(gguf::file({entry}, {}, "")); }

constexpr std::uint64_t huge = std::uint64_t{1} << 63;

}  // namespace

TEST_CASE("tensors come sorted by name, extents outermost first, of every type this library reads") {
  const std::string data = bytes_of<float>({1, 2, 3, 4, 5, 6}) + std::string(8, '\0') + std::string(36, 'q');
  const auto got = read(gguf::file(
      {gguf::text_entry("general.architecture", "rwkv7"), gguf::u32_entry("n", 7)},
      {gguf::tensor("q", {32, 2}, 2, 32), gguf::tensor("f", {3, 2}, 0, 0), gguf::tensor("empty", {0, 2}, 0, 0)}, data));
  CHECK(got.complaint == "");
  const auto& all = got.file.tensors;
  CHECK(all.size() == 3);
  CHECK(all.at(0).name == "empty");
  CHECK(all.at(1).name == "f");
  CHECK(all.at(1).shape == std::vector<rwkv7::index_t>{2, 3});
  CHECK(all.at(1).strides == std::vector<rwkv7::index_t>{3, 1});
  CHECK(elements_of<float>(all.at(1)) == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(all.at(2).type == storage::q4_0);
  CHECK(all.at(2).bytes.size() == 36);
  CHECK(std::to_integer<char>(all.at(2).bytes[0]) == 'q');

  const std::pair<unsigned, storage> types[] = {{0, storage::f32},  {1, storage::f16},  {2, storage::q4_0},
                                                {6, storage::q5_0}, {7, storage::q5_1}, {8, storage::q8_0},
                                                {24, storage::i8},  {25, storage::i16}, {26, storage::i32},
                                                {27, storage::i64}, {28, storage::f64}, {30, storage::bf16}};
  for (const auto& [number, type] : types) {
    const auto file = read(gguf::file({}, {gguf::tensor("x", {32}, number, 0)}, std::string(256, 'x'))).file;
    CHECK(file.tensors.size() == 1);
    CHECK(file.tensors.at(0).type == type);
  }
}

TEST_CASE("versions 2 and 3, and no other") {
  for (const std::uint32_t version : {2u, 3u}) CHECK(complaint(gguf::file({}, {}, "", 32, version)) == "");
  CHECK(complaint(gguf::file({}, {}, "", 32, 1)) == "version: got 1, want 2 or 3");
  CHECK(complaint(gguf::file({}, {}, "", 32, 4)) == "version: got 4, want 2 or 3");
  CHECK(complaint(gguf::file({}, {}, "", 32, 0x03000000)) == "version: got 50331648, want 2 or 3");  // big-endian
}

TEST_CASE("metadata of every type") {
  const auto got = read(gguf::file(
      {gguf::entry("u8", 0, le(std::uint8_t{200})), gguf::entry("i8", 1, le(std::int8_t{-2})),
       gguf::entry("u16", 2, le(std::uint16_t{60000})), gguf::entry("i16", 3, le(std::int16_t{-300})),
       gguf::u32_entry("u32", 4000000000), gguf::entry("i32", 5, le(std::int32_t{-5})), gguf::f32_entry("f32", 1e-5f),
       gguf::entry("yes", 7, le(std::uint8_t{1})), gguf::entry("no", 7, le(std::uint8_t{0})),
       gguf::text_entry("text", "ab\nc"), gguf::entry("u64", 10, le(huge)),
       gguf::entry("i64", 11, le(std::int64_t{-6})), gguf::entry("f64", 12, le(0.25)),
       gguf::entry("texts", 9, gguf::list(8, 2, gguf::text("a") + gguf::text(""))),
       gguf::entry("numbers", 9, gguf::list(5, 3, std::string(12, 'n'))),
       gguf::entry("lists", 9, gguf::list(9, 2, gguf::list(0, 1, "x") + gguf::list(8, 1, gguf::text("y")))),
       gguf::u32_entry("last", 1)},
      {}, ""));
  CHECK(got.complaint == "");
  const std::map<std::string, std::string> want{
      {"u8", "200"}, {"i8", "-2"},    {"u16", "60000"}, {"i16", "-300"},          {"u32", "4000000000"},
      {"i32", "-5"}, {"yes", "true"}, {"no", "false"},  {"text", "ab\nc"},        {"u64", "9223372036854775808"},
      {"i64", "-6"}, {"f64", "0.25"}, {"last", "1"},    {"f32", "9.99999975e-06"}};
  CHECK(got.file.metadata == want);
}

TEST_CASE("alignment is what the file says, down to 1, or 32") {
  for (const std::uint32_t alignment : {1u, 2u, 8u, 64u, 65536u}) {
    CAPTURE(alignment);
    const auto got = read(gguf::file({gguf::u32_entry("general.alignment", alignment)},
                                     {gguf::tensor("x", {1}, 24, 0), gguf::tensor("y", {1}, 24, alignment)},
                                     "x" + std::string(alignment - 1, ' ') + "y", alignment));
    CHECK(got.complaint == "");
    CHECK(got.file.tensors.size() == 2);
    CHECK(std::to_integer<char>(got.file.tensors.at(0).bytes[0]) == 'x');
    CHECK(std::to_integer<char>(got.file.tensors.at(1).bytes[0]) == 'y');
  }
  for (const std::uint32_t alignment : {0u, 3u, 48u, 131072u})
    CHECK(complaint_about_entry(gguf::u32_entry("general.alignment", alignment)) ==
          "general.alignment: is no power of two up to 65536");
  CHECK(complaint_about_entry(gguf::text_entry("general.alignment", "many")) ==
        "general.alignment: is no power of two up to 65536");
  CHECK(complaint_about_tensor(gguf::tensor("x", {1}, 24, 33)) == "x: offset: got 33, want a multiple of 32");
}

TEST_CASE("files that end too early, and counts that no file holds") {
  CHECK(complaint("") == "header: is not that of GGUF");
  CHECK(complaint("GGUG" + std::string(60, '\0')) == "header: is not that of GGUF");
  const auto counts = [](std::uint64_t tensors, std::uint64_t entries) {
    return complaint("GGUF" + le(std::uint32_t{3}) + le(tensors) + le(entries));
  };
  CHECK(counts(0, 0) == "");
  CHECK(counts(0, huge) == "metadata key: is behind the end of the file");
  CHECK(counts(~std::uint64_t{0}, 0) == "name of a tensor: is behind the end of the file");
  CHECK(complaint_about_entry(le(huge) + "x") == "metadata key: is behind the end of the file");
  CHECK(complaint_about_entry(gguf::entry("x", 8, le(huge))) == "x: is behind the end of the file");
  CHECK(complaint_about_entry(gguf::entry("x", 8, le(~std::uint64_t{0}))) == "x: is behind the end of the file");
}

TEST_CASE("lists that no file holds, and lists in lists in lists") {
  for (const unsigned type : {0u, 3u, 5u, 7u, 12u})
    CHECK(complaint_about_entry(gguf::entry("x", 9, gguf::list(type, huge, ""))) == "x: is behind the end of the file");
  CHECK(complaint_about_entry(gguf::entry("x", 9, gguf::list(8, huge, gguf::text("a"))))
            .ends_with(": is behind the end of the file"));
  CHECK(complaint_about_entry(gguf::entry("x", 9, gguf::list(13, 1, "a"))) == "x: has an unknown type: got 13");
  std::string nested;
  for (int depth = 0; depth < 100'000; ++depth) nested += gguf::list(9, 1, "");
  CHECK(complaint_about_entry(gguf::entry("x", 9, nested)) == "x: is a list of lists of lists of lists");
}

TEST_CASE("entries of an unknown type, and keys that occur twice") {
  CHECK(complaint_about_entry(gguf::entry("x", 13, "")) == "x: has an unknown type: got 13");
  CHECK(complaint_about_entry(gguf::entry("x", 0xffffffff, "")) == "x: has an unknown type: got 4294967295");
  CHECK(complaint(gguf::file({gguf::u32_entry("x", 1), gguf::u32_entry("x", 1)}, {}, "")) == "x: occurs twice");
  CHECK(complaint_about_entry(gguf::u32_entry("a\nb", 1) + "") == "");
}

TEST_CASE("tensors that no model has") {
  CHECK(complaint_about_tensor(gguf::tensor("x", std::vector<std::uint64_t>(9, 1), 0, 0)) ==
        "x: axes: got 9, want at most 8");
  CHECK(complaint_about_tensor(gguf::text("x") + le(0xffffffffu)) == "x: axes: got 4294967295, want at most 8");
  CHECK(complaint_about_tensor(gguf::tensor("x", {1}, 12, 0)) ==
        "x: type: got number 12, want F32, F16, BF16, Q8_0, Q4_0, Q5_0 or Q5_1");
  CHECK(complaint_about_tensor(gguf::tensor("x", {huge}, 0, 0)) == "x: has a shape of too many elements");
  const std::string shape = "x: has a shape that is no whole number of blocks, or of too many elements";
  CHECK(complaint_about_tensor(gguf::tensor("x", {huge / 2, huge / 2}, 0, 0)) == shape);
  CHECK(complaint_about_tensor(gguf::tensor("x", {0, huge / 2, huge / 2}, 0, 0)) == shape);
  CHECK(complaint_about_tensor(gguf::tensor("x", {huge / 2, huge / 2, 0}, 0, 0)) == shape);
  CHECK(complaint_about_tensor(gguf::tensor("x", {33}, 8, 0)) == shape);
  CHECK(complaint_about_tensor(gguf::tensor("x", {}, 8, 0)) == shape);
}

TEST_CASE("places outside the data, and places that overlap") {
  const auto place = [](std::uint64_t extent, std::uint64_t offset) {
    return complaint_about_tensor(gguf::tensor("x", {extent}, 0, offset), 64);
  };
  CHECK(place(16, 0) == "");
  CHECK(place(17, 0) == "x: its data: got 68 bytes from 0 on, want them in 0 to 64");
  CHECK(place(9, 32) == "x: its data: got 36 bytes from 32 on, want them in 0 to 64");
  CHECK(place(1, 96) == "x: its data: got 4 bytes from 96 on, want them in 0 to 64");
  CHECK(place(1, ~std::uint64_t{31}) == "x: its data: got 4 bytes from 18446744073709551584 on, want them in 0 to 64");
  CHECK(complaint(gguf::file({}, {gguf::tensor("x", {1}, 0, 0)}, "")) ==
        "x: its data: got 4 bytes from 0 on, want them in 0 to 0");

  const auto two = [](std::uint64_t x, std::uint64_t y) {
    return complaint(
        gguf::file({}, {gguf::tensor("x", {9}, 0, x), gguf::tensor("y", {9}, 0, y)}, std::string(128, 'd')));
  };
  CHECK(two(0, 64) == "");
  CHECK(two(64, 0) == "");
  CHECK(two(0, 32) == "y: overlaps the tensor before it");
  CHECK(two(64, 32) == "x: overlaps the tensor before it");
  CHECK(complaint(gguf::file({}, {gguf::tensor("x", {1}, 0, 0), gguf::tensor("x", {1}, 0, 32)},
                             std::string(64, 'd'))) == "x: occurs twice");
  CHECK(complaint(gguf::file({},
                             {gguf::tensor("a", {9}, 0, 0), gguf::tensor("b", {9}, 0, 32), gguf::tensor("e", {0}, 0, 0),
                              gguf::tensor("f", {0}, 0, 32)},
                             std::string(128, 'd'))) == "b: overlaps the tensor before it");
  for (const std::uint64_t offset : {0u, 32u, 64u})  // one without bytes is in nobody's way
    CHECK(complaint(gguf::file(
              {}, {gguf::tensor("e", {0}, 0, offset), gguf::tensor("x", {16}, 0, 0), gguf::tensor("f", {0}, 0, offset)},
              std::string(64, 'd'))) == "");
}

TEST_CASE("a file that ends before its data would begin") {
  auto content = gguf::file({}, {gguf::tensor("e", {0}, 0, 0)}, "");
  while (content.back() == '\0') content.pop_back();
  content.resize(content.size() + 3 + 8 + 4 + 8);  // the rest of axes, extent, type, offset
  CHECK(content.size() % 32 != 0);
  const auto got = read(content);
  CHECK(got.complaint == "");
  CHECK(got.file.tensors.at(0).bytes.empty());
}

TEST_CASE("a file on disk, and its name in the complaint") {
  const temporary_file good(gguf::file({}, {gguf::tensor("x", {1}, 0, 0)}, "1234")), bad("GGUF");
  CHECK(rwkv7::open_gguf(good.path()).tensors.size() == 1);
  CHECK(reported([&] { rwkv7::open_gguf(bad.path()); }) ==
        "rwkv7::gguf: " + rwkv7::detail::shown(bad.path()) + ": version: is behind the end of the file");
}
