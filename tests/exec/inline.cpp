// SPDX-License-Identifier: MIT
#include "rwkv7/exec/inline.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <type_traits>
#include <vector>

using rwkv7::index_t;
using rwkv7::inline_executor;

TEST_CASE("the inline executor calls every index once, in order, on the calling thread") {
  const inline_executor exec;
  CHECK(exec.concurrency() == 1);
  for (const index_t n : {0, 1, 2, 1000}) {
    std::vector<index_t> seen;
    const auto here = std::this_thread::get_id();
    bool same_thread = true;
    exec.bulk(n, [&](index_t i) {
      seen.push_back(i);
      same_thread = same_thread && std::this_thread::get_id() == here;
    });
    REQUIRE(static_cast<index_t>(seen.size()) == n);
    for (index_t i = 0; i < n; ++i) REQUIRE(seen[static_cast<std::size_t>(i)] == i);
    CHECK(same_thread);
  }
}

TEST_CASE("the inline executor is empty and names the instruction set it computes with") {
  static_assert(std::is_empty_v<inline_executor>);
  static_assert(std::is_same_v<inline_executor, rwkv7::basic_inline_executor<rwkv7::native_arch>>);
  static_assert(std::is_same_v<inline_executor::backend_tag, rwkv7::backend::cpu::tag<rwkv7::native_arch>>);
  static_assert(std::is_same_v<rwkv7::basic_inline_executor<xsimd::sse2>::backend_tag::arch, xsimd::sse2>);
  CHECK(true);
}
