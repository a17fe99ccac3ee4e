// SPDX-License-Identifier: MIT
// Right .safetensors files, and every way in which one can be wrong.
#include "rwkv7/model/safetensors.hpp"

#include <doctest/doctest.h>

#include "support/refused.hpp"
#include "support/safetensors_writer.hpp"

using rwkv7::open_safetensors;
using namespace rwkv7_test;

namespace {

/// What is said about a file of this content, after its name.
std::string complaint_about(const std::string& content) {
  const temporary_file file(content);
  const auto text = complaint_of([&] { open_safetensors(file.path()); });
  const auto start = "rwkv7::safetensors: " + rwkv7::detail::shown(file.path()) + ": ";
  return text.starts_with(start) ? text.substr(start.size()) : "not as expected: " + text;
}

/// The same for a header and `size` bytes of data.
std::string complaint_about(const std::string& header, std::size_t size) {
  return complaint_about(safetensors_bytes(header, std::string(size, '\0')));
}

/// The same for the one entry "x" and 8 bytes of data.
std::string complaint_about_entry(const std::string& entry) { return complaint_about("{\"x\":" + entry + "}", 8); }

}  // namespace

TEST_CASE("tensors come sorted by name, whatever their order in the file") {
  const temporary_file file(safetensors_bytes({f32_tensor("b", {2, 1}, {1, 2}),
                                               {"c", "BF16", {3}, std::string(6, 'c')},
                                               {"a", "I64", {}, std::string(8, 'a')},
                                               {"empty", "F32", {4, 0}, ""}}));
  const auto opened = open_safetensors(file.path());
  REQUIRE(opened);
  const auto& all = opened.tensors;
  REQUIRE(all.size() == 4);
  CHECK(all[0].name == "a");
  CHECK(all[0].type == rwkv7::storage::i64);
  CHECK(all[0].shape.empty());
  CHECK(all[0].bytes.size() == 8);
  CHECK(all[1].name == "b");
  CHECK(all[1].shape == std::vector<rwkv7::index_t>{2, 1});
  float second = 0;
  std::memcpy(&second, all[1].bytes.data() + sizeof second, sizeof second);
  CHECK(second == 2.0f);
  CHECK(all[2].name == "c");
  CHECK(std::to_integer<char>(all[2].bytes[5]) == 'c');
  CHECK(all[3].bytes.empty());
}

TEST_CASE("a file without tensors, and one with metadata, are files") {
  const temporary_file none(safetensors_bytes("{}", ""));
  CHECK(open_safetensors(none.path()).tensors.empty());
  const temporary_file about(
      safetensors_bytes(R"({"__metadata__":{"x":"y"},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   )", "z"));
  CHECK(open_safetensors(about.path()).tensors.size() == 1);
}

TEST_CASE("an open file can be moved, and survives the loss of its name") {
  rwkv7::tensor_file kept;
  CHECK(!kept);
  {
    const temporary_file file(safetensors_bytes({f32_tensor("x", {1}, {5})}));
    kept = open_safetensors(file.path());
  }
  const rwkv7::tensor_file moved = std::move(kept);
  CHECK(!kept);
  REQUIRE(moved);
  float x = 0;
  std::memcpy(&x, moved.tensors[0].bytes.data(), sizeof x);
  CHECK(x == 5.0f);
}

TEST_CASE("files that end too early") {
  CHECK(complaint_about("") == "file size: got 0, want at least 8");
  CHECK(complaint_about("1234567") == "file size: got 7, want at least 8");
  CHECK(complaint_about(std::string("\x09\0\0\0\0\0\0\0{}      ", 16)) ==
        "file size: got 16, want 17 for the header alone");
  CHECK(complaint_about(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10)) ==
        "header size: got 100000001, want at most 100000000");
  CHECK(complaint_about(std::string(8, '\xff')) == "header size: got 18446744073709551615, want at most 100000000");
}

TEST_CASE("headers that are no header") {
  for (const char* header : {"", "{", "[]", "1", "{}{}", "{\"x\":}", "{\"\xff\":1}", "null", "{} //"}) {
    CAPTURE(header);
    CHECK(complaint_about(header, 0) == "header: is not a JSON object");
  }
  CHECK(complaint_about(std::string(1000000, '['), 0) == "header: is not a JSON object");
  CHECK(complaint_about("{\"x\":" + std::string(100000, '[') + std::string(100000, ']') + "}", 0)
            .starts_with("x: wants"));
}

TEST_CASE("entries that are no tensor") {
  const std::string want = "x: wants dtype, shape and data_offsets, a text and two lists of counts";
  for (const char* entry : {
           R"(1)", R"([])", R"({})",                                       //
           R"({"shape":[2],"data_offsets":[0,8]})",                        //
           R"({"dtype":"F32","data_offsets":[0,8]})",                      //
           R"({"dtype":"F32","shape":[2]})",                               //
           R"({"dtype":32,"shape":[2],"data_offsets":[0,8]})",             //
           R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})",            //
           R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})",         //
           R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})",        //
           R"({"dtype":"F32","shape":[1e99],"data_offsets":[0,8]})",       //
           R"({"dtype":"F32","shape":["2"],"data_offsets":[0,8]})",        //
           R"({"dtype":"F32","shape":[2],"data_offsets":[0]})",            //
           R"({"dtype":"F32","shape":[2],"data_offsets":[0,4,8]})",        //
           R"({"dtype":"F32","shape":[2],"data_offsets":{"0":0,"1":8}})",  //
           R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})",         //
       }) {
    CAPTURE(entry);
    CHECK(complaint_about_entry(entry) == want);
  }
}

TEST_CASE("places outside the data") {
  CHECK(complaint_about_entry(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})") ==
        "x: data_offsets: got 0 to 12, want a range in 0 to 8");
  CHECK(complaint_about_entry(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})") ==
        "x: data_offsets: got 8 to 0, want a range in 0 to 8");
  CHECK(complaint_about_entry(R"({"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0]})") ==
        "x: data_offsets: got 18446744073709551615 to 0, want a range in 0 to 8");
}

TEST_CASE("shapes that do not fit their bytes") {
  CHECK(complaint_about_entry(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})") ==
        "x: bytes: got 8, want 12 for F32 [3]");
  CHECK(complaint_about_entry(R"({"dtype":"F32","shape":[],"data_offsets":[0,8]})") ==
        "x: bytes: got 8, want 4 for F32 []");
  CHECK(complaint_about_entry(R"({"dtype":"F32","shape":[0],"data_offsets":[0,8]})") ==
        "x: bytes: got 8, want 0 for F32 [0]");
  CHECK(complaint_about_entry(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})") ==
        "x: has a shape of too many elements: got [4294967296,4294967296]");
  CHECK(complaint_about_entry(R"({"dtype":"F32","shape":[9223372036854775808,0],"data_offsets":[0,0]})") ==
        "x: has a shape of too many elements: got [9223372036854775808,0]");
  CHECK(complaint_about_entry(R"({"dtype":"F4","shape":[2],"data_offsets":[0,8]})") ==
        "x: has an unknown dtype: got F4");
}

TEST_CASE("names that occur twice") {
  const std::string x = R"("x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  CHECK(complaint_about("{" + x + "," + x + "}", 4) == "x: occurs twice in the header");
  CHECK(complaint_about_entry(R"({"dtype":"U8","shape":[8],"shape":[8],"data_offsets":[0,8]})") ==
        "shape: occurs twice in the header");
}

TEST_CASE("tensors that overlap, and bytes that belong to none") {
  const auto two = [](const std::string& x, const std::string& y) {
    return complaint_about(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":)" + x +
                               R"(},"y":{"dtype":"U8","shape":[4],"data_offsets":)" + y + "}}",
                           8);
  };
  CHECK(two("[4,8]", "[0,4]") == "not as expected: nothing");
  CHECK(two("[0,4]", "[0,4]") == "y: first byte of its data: got 0, want 4, where the tensor before it ends");
  CHECK(two("[2,6]", "[0,4]") == "x: first byte of its data: got 2, want 4, where the tensor before it ends");
  CHECK(two("[1,5]", "[4,8]") == "x: first byte of its data: got 1, want 0, where the data begin");
  CHECK(complaint_about(R"({"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                        R"("y":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                        8) == "y: first byte of its data: got 4, want 3, where the tensor before it ends");
  CHECK(complaint_about(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 8) ==
        "data size: got 8, want 4, where the last tensor ends");
}
