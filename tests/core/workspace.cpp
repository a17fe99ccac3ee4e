// SPDX-License-Identifier: MIT
#include "rwkv7/core/workspace.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <type_traits>
#include <vector>

using rwkv7::index_t;
using rwkv7::view;
using rwkv7::workspace;

namespace {

struct buffers {
  view<float, 3> a;
  view<double, 1> b;
  view<std::uint16_t, 2> c;
  view<float, 2> empty;
};

/// The only place that knows the layout, as in a block.
buffers take(workspace& memory, index_t n) {
  return {memory.take<float>(2, n, 3), memory.take<double>(n), memory.take<std::uint16_t>(n, 7),
          memory.take<float>(n, 0)};
}

std::size_t size_for(index_t n) {
  workspace counting;
  take(counting, n);
  return counting.required();
}

template <class T, int Rank>
bool aligned(const view<T, Rank>& v) {
  return reinterpret_cast<std::uintptr_t>(v.data()) % workspace::alignment == 0;
}

}  // namespace

TEST_CASE("counting takes nothing and says how much taking will need") {
  workspace counting;
  CHECK(counting.required() == 0);
  const auto z = take(counting, 5);
  CHECK(!z.a);
  CHECK(z.a.extents() == view<float, 3>::index_array{2, 5, 3});
  CHECK(counting.required() >= 2 * 5 * 3 * sizeof(float) + 5 * sizeof(double) + 35 * sizeof(std::uint16_t));
  CHECK(counting.remaining() == 0);
}

TEST_CASE("what was counted is enough for memory of any alignment, and every buffer is aligned, apart and inside") {
  for (const index_t n : {1, 2, 15, 16, 17, 100})
    for (std::size_t shift = 0; shift < 2 * workspace::alignment; ++shift) {
      CAPTURE(n);
      CAPTURE(shift);
      const std::size_t size = size_for(n);
      std::vector<std::byte> storage(size + 3 * workspace::alignment);
      const std::span<std::byte> memory = std::span(storage).subspan(shift, size);
      workspace scratch(memory);
      CHECK(scratch.remaining() == size);
      const auto z = take(scratch, n);
      REQUIRE(scratch.fits());
      REQUIRE(static_cast<bool>(z.a));
      REQUIRE(static_cast<bool>(z.b));
      REQUIRE(static_cast<bool>(z.c));
      CHECK(aligned(z.a));
      CHECK(aligned(z.b));
      CHECK(aligned(z.c));
      const auto inside = [&](const void* from, const void* to) {
        return memory.data() <= from && to <= memory.data() + size;
      };
      CHECK(inside(z.a.data(), z.a.data() + z.a.size()));
      CHECK(inside(z.c.data(), z.c.data() + z.c.size()));
      CHECK(static_cast<void*>(z.a.data() + z.a.size()) <= static_cast<void*>(z.b.data()));
      CHECK(static_cast<void*>(z.b.data() + z.b.size()) <= static_cast<void*>(z.c.data()));
    }
}

TEST_CASE("memory that is too small gives absent buffers and says so") {
  std::vector<std::byte> storage(size_for(16) - workspace::alignment - 1);
  workspace scratch{std::span(storage)};
  const auto z = take(scratch, 16);
  CHECK(static_cast<bool>(z.a));
  CHECK(!z.c);
  CHECK(z.c.extents() == view<float, 2>::index_array{16, 7});
  CHECK(!scratch.fits());
  CHECK(scratch.remaining() == 0);
  CHECK(!scratch.take<float>(1));  // nor does a smaller piece slip in behind a larger one
}

TEST_CASE("a workspace is a value: a copy takes the same memory again") {
  std::vector<std::byte> storage(1024);
  workspace first{std::span(storage)};
  workspace second = first;
  CHECK(first.take<float>(10) == second.take<float>(10));
  static_assert(std::is_trivially_copyable_v<workspace>);
}

TEST_CASE("nothing taken needs nothing, with and without memory") {
  CHECK(workspace{}.required() == 0);
  CHECK(workspace{}.fits());
  CHECK(workspace{std::span<std::byte>{}}.fits());
  workspace counting;
  counting.take<float>(0, 5);
  CHECK(counting.required() == 0);
}
