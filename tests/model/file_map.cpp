// SPDX-License-Identifier: MIT
#include "rwkv7/model/file_map.hpp"

#include <doctest/doctest.h>

#include "support/safetensors_writer.hpp"

using rwkv7::file_map;
using rwkv7_test::temporary_file;

namespace {

std::string text_of(const file_map& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

TEST_CASE("the bytes of a file, also after it was moved and when its name is gone") {
  rwkv7::diagnosis problem;
  file_map kept;
  CHECK(kept.bytes().empty());
  {
    const temporary_file file(std::string("a\0b\xff", 4));
    kept = file_map::open(file.path(), problem);
  }
  CHECK(!problem);
  CHECK(text_of(kept) == std::string("a\0b\xff", 4));
  file_map moved = std::move(kept);
  CHECK(kept.bytes().empty());
  CHECK(text_of(moved) == std::string("a\0b\xff", 4));
  moved = {};
  CHECK(moved.bytes().empty());
}

TEST_CASE("a file without bytes") {
  rwkv7::diagnosis problem;
  const temporary_file file("");
  CHECK(file_map::open(file.path(), problem).bytes().empty());
  CHECK(!problem);
}

TEST_CASE("what cannot be opened is named") {
  const auto folder = std::filesystem::temp_directory_path();
  const auto complaint = [](const std::filesystem::path& path) {
    rwkv7::diagnosis problem;
    CHECK(file_map::open(path, problem).bytes().empty());
    return std::string(problem.message());
  };
  CHECK(complaint(folder) == "rwkv7::file: " + rwkv7::detail::shown(folder) + ": is not a regular file");
  CHECK(complaint("/no/such/file") == "rwkv7::file: /no/such/file: does not exist");
  CHECK(complaint("") == "rwkv7::file: : does not exist");
}

TEST_CASE("a long name is shown by its end, without what would upset a terminal") {
  CHECK(rwkv7::detail::shown("short", 5) == "short");
  CHECK(rwkv7::detail::shown("too long", 5) == "... long");
  CHECK(rwkv7::detail::shown("\x1b[2J\n", 9) == "?[2J?");
}
