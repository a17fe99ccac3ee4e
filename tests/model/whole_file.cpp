// SPDX-License-Identifier: MIT
#include "rwkv7/model/whole_file.hpp"

#include <doctest/doctest.h>

#include "support/temporary_folder.hpp"

using rwkv7::whole_file;
using rwkv7_test::content_of;
using rwkv7_test::temporary_folder;

namespace {
std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
}  // namespace

TEST_CASE("nothing has the name before commit, and everything after it") {
  const temporary_folder folder;
  const auto path = folder.file("a");
  {
    whole_file file(path);
    CHECK(file.write(bytes("one ")));
    CHECK(file.write(bytes("two")));
    CHECK(!std::filesystem::exists(path));
    CHECK(!file.commit());
    CHECK(content_of(path) == "one two");
  }
  CHECK(content_of(path) == "one two");
  CHECK(folder.size() == 1);
}

TEST_CASE("without a commit what was there before stays, and nothing else") {
  const temporary_folder folder;
  const auto path = folder.file("a");
  { CHECK(whole_file(path).write(bytes("lost"))); }
  CHECK(folder.size() == 0);
  std::ofstream(path) << "before";
  { CHECK(whole_file(path).write(bytes("lost"))); }
  CHECK(content_of(path) == "before");
  CHECK(folder.size() == 1);
  whole_file again(path);
  CHECK(again.write(bytes("after")));
  CHECK(!again.commit());
  CHECK(content_of(path) == "after");
}

TEST_CASE("what cannot be written is named") {
  const temporary_folder folder;
  const auto complaint = [](const std::string& path, bool opens) {
    whole_file file(path);
    CHECK(file.write({}) == opens);
    file.write(bytes("lost"));
    return std::string(file.commit().message());
  };
  CHECK(complaint(folder.file("none/a"), false) == "rwkv7::file: " + folder.file("none/a") + ": cannot be written");
  CHECK(complaint(folder.file(""), false) == "rwkv7::file: " + folder.file("") + ": cannot be written");
  CHECK(folder.size() == 0);
  if (std::filesystem::exists("/dev/full")) {
    CHECK(complaint("/dev/full", true) == "rwkv7::file: /dev/full: cannot be written");
    CHECK(std::filesystem::is_character_file("/dev/full"));
  }
}
