// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
#include "rwkv7/model/huge_pages.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

using rwkv7::huge_page_memory;

TEST_CASE("as many bytes as asked for, on a huge page, all of them the program's") {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{4096}, huge_page_memory::page, 2 * huge_page_memory::page + 5}) {
    const huge_page_memory memory(size);
    const auto bytes = memory.bytes();
    CHECK(bytes.size() == size);
    CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % huge_page_memory::page == 0);
    std::fill(bytes.begin(), bytes.end(), std::byte{7});
    CHECK(std::count(bytes.begin(), bytes.end(), std::byte{7}) == static_cast<std::ptrdiff_t>(size));
  }
  CHECK(huge_page_memory(0).bytes().empty());
}

TEST_CASE("moved, it is somewhere else, and once") {
  CHECK(huge_page_memory().bytes().empty());
  huge_page_memory a(100), b(200);
  const auto* data = a.bytes().data();
  b = std::move(a);
  CHECK(b.bytes().data() == data);
  CHECK(b.bytes().size() == 100);
  CHECK(a.bytes().empty());
}
