// SPDX-License-Identifier: MIT
// Tensors as files hold them: strided, turned, in blocks.
#include "rwkv7/model/tensor.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "rwkv7/core/dtype.hpp"
#include "support/read_bytes.hpp"

using rwkv7::index_t;
using rwkv7::storage;
using rwkv7::stored_tensor;
using rwkv7::usable_in_place;
using rwkv7_test::elements_of;

namespace {

/// 0, 1, 2, … as elements of T.
template <class T>
std::vector<T> counted(std::size_t n) {
  std::vector<T> values(n);
  std::iota(values.begin(), values.end(), T{});
  return values;
}

template <class T>
stored_tensor view_of(const std::vector<T>& values, storage type, const std::vector<index_t>& shape,
                      const std::vector<index_t>& strides, std::size_t offset = 0) {
  return {"x", type, shape, strides, std::as_bytes(std::span(values)).subspan(offset * sizeof(T))};
}

/// Two rows of two Q8_0 blocks each; element [i, j] is (64 i + j) / 2.
std::vector<std::byte> blocks() {
  std::vector<std::byte> bytes;
  for (int block = 0; block < 4; ++block) {
    bytes.push_back(std::byte{0x00});
    bytes.push_back(std::byte{0x38});  // 0.5 in f16
    for (int n = 0; n < 32; ++n) bytes.push_back(static_cast<std::byte>(32 * block + n));
  }
  return bytes;
}

}  // namespace

TEST_CASE("elements come in row-major order, whatever their strides") {
  const auto values = counted<float>(24);
  CHECK(elements_of<float>(view_of(values, storage::f32, {2, 3}, {3, 1})) == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(elements_of<float>(view_of(values, storage::f32, {2, 3}, {1, 2})) == std::vector<float>{0, 2, 4, 1, 3, 5});
  CHECK(elements_of<float>(view_of(values, storage::f32, {2, 1, 2}, {12, 9, 5}, 2)) ==
        std::vector<float>{2, 7, 14, 19});
  CHECK(elements_of<float>(view_of(values, storage::f32, {3, 2}, {0, 1}, 4)) == std::vector<float>{4, 5, 4, 5, 4, 5});
  CHECK(elements_of<float>(view_of(values, storage::f32, {}, {}, 7)) == std::vector<float>{7});
  CHECK(elements_of<float>(view_of(values, storage::f32, {2, 0}, {5, 1})).empty());
  const auto wide = counted<double>(6);
  CHECK(elements_of<double>(view_of(wide, storage::f64, {3, 2}, {1, 3})) == std::vector<double>{0, 3, 1, 4, 2, 5});
  const auto bytes = counted<std::uint8_t>(6);
  CHECK(elements_of<std::uint8_t>(view_of(bytes, storage::u8, {2, 3}, {1, 2})) ==
        std::vector<std::uint8_t>{0, 2, 4, 1, 3, 5});
}

TEST_CASE("blocks become f32, also across their rows") {
  const auto bytes = blocks();
  const auto rows = elements_of<float>({"x", storage::q8_0, {2, 64}, {64, 1}, bytes});
  const auto columns = elements_of<float>({"x", storage::q8_0, {64, 2}, {1, 64}, bytes});
  for (std::size_t n = 0; n < 128; ++n) {
    CHECK(rows[n] == 0.5f * static_cast<float>(n));
    CHECK(columns[n] == 0.5f * static_cast<float>(64 * (n % 2) + n / 2));
  }
}

TEST_CASE("a matrix unpacked by columns is the turned one unpacked by rows") {
  const auto check = [](const stored_tensor& tensor, auto zero) {
    using T = decltype(zero);
    const auto rows = elements_of<T>(tensor);
    std::vector<T> columns(rows.size());
    rwkv7::unpack_transposed(tensor, reinterpret_cast<std::byte*>(columns.data()));
    const auto R = static_cast<std::size_t>(tensor.shape[0]), C = static_cast<std::size_t>(tensor.shape[1]);
    for (std::size_t r = 0; r < R; ++r)
      for (std::size_t c = 0; c < C; ++c) CHECK(columns[c * R + r] == rows[r * C + c]);
  };
  const auto values = counted<float>(35 * 70);
  check(view_of(values, storage::f32, {35, 70}, {70, 1}), 0.0f);
  check(view_of(values, storage::f32, {70, 35}, {1, 70}), 0.0f);
  check(view_of(values, storage::f32, {33, 3}, {70, 5}, 2), 0.0f);
  check(view_of(values, storage::f32, {0, 3}, {3, 1}), 0.0f);
  check(view_of(counted<std::uint16_t>(6), storage::bf16, {2, 3}, {3, 1}), std::uint16_t{});
  const auto bytes = blocks();
  check({"x", storage::q8_0, {2, 64}, {64, 1}, bytes}, 0.0f);
  check({"x", storage::q8_0, {64, 2}, {1, 64}, bytes}, 0.0f);
}

TEST_CASE("only what lies as kernels want it is used in place") {
  const auto values = counted<float>(8);
  CHECK(usable_in_place(view_of(values, storage::f32, {2, 3}, {3, 1})));
  CHECK(usable_in_place(view_of(values, storage::f32, {1, 1, 3}, {99, 7, 1})));
  CHECK(!usable_in_place(view_of(values, storage::f32, {2, 3}, {4, 1})));
  CHECK(!usable_in_place(view_of(values, storage::f32, {3, 2}, {1, 3})));
  CHECK(!usable_in_place({"x", storage::f32, {1}, {1}, std::as_bytes(std::span(values)).subspan(2)}));
  CHECK(usable_in_place({"x", storage::bf16, {1}, {1}, std::as_bytes(std::span(values)).subspan(2)}));
  CHECK(!usable_in_place({"x", storage::q8_0, {2, 64}, {64, 1}, blocks()}));
}

TEST_CASE("bytes of a dense tensor, or nothing where they cannot be counted") {
  using rwkv7::dense_bytes;
  constexpr index_t huge = index_t{1} << 62;
  CHECK(dense_bytes(storage::f32, {2, 3}) == 24u);
  CHECK(dense_bytes(storage::f32, {}) == 4u);
  CHECK(dense_bytes(storage::f32, {0, 3}) == 0u);
  CHECK(dense_bytes(storage::q4_0, {3, 64}) == 108u);
  CHECK(dense_bytes(storage::q4_0, {3, 0}) == 0u);
  CHECK(!dense_bytes(storage::q4_0, {64, 3}));
  CHECK(!dense_bytes(storage::q4_0, {}));
  CHECK(!dense_bytes(storage::u8, {-1}));
  CHECK(!dense_bytes(storage::u8, {0, -1}));
  CHECK(dense_bytes(storage::u8, {huge}) == std::uint64_t{huge});
  CHECK(!dense_bytes(storage::u8, {huge, 2}));
  CHECK(!dense_bytes(storage::f64, {huge}));
  CHECK(!dense_bytes(storage::u8, {0, huge, huge}));
  CHECK(!dense_bytes(storage::u8, {huge, huge, 0}));
}

TEST_CASE("what a parameter may be, and what unpack makes of it") {
  using rwkv7::dtype;
  using rwkv7::unpacked_type;
  CHECK(unpacked_type(storage::f32) == dtype::f32);
  CHECK(unpacked_type(storage::f16) == dtype::f16);
  CHECK(unpacked_type(storage::bf16) == dtype::bf16);
  CHECK(unpacked_type(storage::q5_1) == dtype::f32);
  CHECK(!unpacked_type(storage::f64));
  CHECK(!unpacked_type(storage::i32));
}

TEST_CASE("tensors are written as they are, but blocks only where the format has them and they lie in rows") {
  const auto bytes = blocks();
  const stored_tensor rows{"x", storage::q8_0, {2, 64}, {64, 1}, bytes},
      columns{"x", storage::q8_0, {64, 2}, {1, 64}, bytes};
  CHECK(written_type(rows, true) == storage::q8_0);
  CHECK(written_type(rows, false) == storage::f32);
  CHECK(written_type(columns, true) == storage::f32);
  CHECK(written_type(columns, false) == storage::f32);

  const auto written = [](const stored_tensor& tensor, bool has_blocks) {
    std::vector<std::byte> all;
    for_written_bytes(tensor, has_blocks,
                      [&](std::span<const std::byte> part) { all.insert(all.end(), part.begin(), part.end()); });
    return all;
  };
  CHECK(written(rows, true) == bytes);
  for (const auto* tensor : {&rows, &columns}) {
    const auto values = elements_of<float>(*tensor);
    const auto want = std::as_bytes(std::span(values));
    CHECK(written(*tensor, false) == std::vector<std::byte>(want.begin(), want.end()));
  }
  const auto values = counted<std::uint16_t>(6);
  const auto turned = view_of(values, storage::bf16, {2, 3}, {1, 2});
  CHECK(written_type(turned, false) == storage::bf16);
  CHECK(written(turned, false).size() == 12);
}

TEST_CASE("tensors are found by name, and a name that occurs twice is one too many") {
  rwkv7::tensor_file file{.name = "x", .format = "pth"};
  file.tensors = {{.name = "b"}, {.name = "a"}, {.name = "ab"}};
  rwkv7::diagnosis problem;
  rwkv7::detail::finish_tensors(file, problem);
  CHECK(!problem);
  CHECK(file.find("ab") == &file.tensors[1]);
  CHECK(!file.find("c"));
  CHECK(!file.find("aa"));
  file.tensors.push_back({.name = "b"});
  rwkv7::detail::finish_tensors(file, problem);
  CHECK(std::string(problem.message()) == "rwkv7::pth: x: b: occurs twice");
}
