// SPDX-License-Identifier: MIT
// tests/golden/torch.pth, which PyTorch wrote: golden/make_pth.py says what is in it.
#include <doctest/doctest.h>

#include "rwkv7/model/pth.hpp"
#include "support/read_bytes.hpp"

using rwkv7::index_t;
using rwkv7::storage;
using rwkv7_test::elements_of;

namespace {

const rwkv7::tensor_file& golden() {
  static const auto file = rwkv7::open_pth(RWKV7_GOLDEN_DIR "/torch.pth");
  return file;
}

/// The tensor's values, after its type and shape were found right.
template <class T>
std::vector<T> values(const char* name, storage type, const std::vector<index_t>& shape) {
  CAPTURE(name);
  const auto* tensor = golden().find(name);
  REQUIRE(tensor);
  CHECK(tensor->type == type);
  CHECK(tensor->shape == shape);
  return elements_of<T>(*tensor);
}
using floats = std::vector<float>;

template <class Narrow>
floats widened(const std::vector<Narrow>& values) {
  floats result;
  for (const auto x : values) result.push_back(x.to_float());
  return result;
}

const floats small{-0.75f, -0.5f, -0.25f, 0, 0.25f, 0.5f, 0.75f, 1};

}  // namespace

TEST_CASE("views of one storage: rows, columns, turned, in steps, expanded, one element") {
  CHECK(golden().tensors.size() == 21);
  floats counted;
  for (int i = 0; i < 24; ++i) counted.push_back(static_cast<float>(i));
  CHECK(values<float>("f32", storage::f32, {4, 6}) == counted);
  CHECK(values<float>("rows", storage::f32, {2, 6}) == floats(counted.begin() + 6, counted.begin() + 18));
  CHECK(values<float>("columns", storage::f32, {4, 2}) == floats{2, 3, 8, 9, 14, 15, 20, 21});
  const auto turned = values<float>("transposed", storage::f32, {6, 4});
  for (std::size_t i = 0; i < 24; ++i) CHECK(turned[i] == static_cast<float>(6 * (i % 4) + i / 4));
  CHECK(values<float>("steps", storage::f32, {5}) == floats{1, 6, 11, 16, 21});
  CHECK(values<float>("element", storage::f32, {}) == floats{7});
  CHECK(values<float>("expanded", storage::f32, {2, 2}) == floats{3, 4, 3, 4});
  CHECK(golden().find("f32")->bytes.data() + 24 == golden().find("rows")->bytes.data());
}

TEST_CASE("element types") {
  CHECK(widened(values<rwkv7::f16>("f16", storage::f16, {8})) == small);
  CHECK(widened(values<rwkv7::bf16>("bf16", storage::bf16, {1, 1, 8})) == small);
  CHECK(values<double>("f64", storage::f64, {8}) == std::vector<double>(small.begin(), small.end()));
  CHECK(values<std::int64_t>("i64", storage::i64, {2}) == std::vector<std::int64_t>{-1, std::int64_t{1} << 40});
  CHECK(values<std::int32_t>("i32", storage::i32, {2}) == std::vector<std::int32_t>{-2, 3});
  CHECK(values<std::int16_t>("i16", storage::i16, {1}) == std::vector<std::int16_t>{-300});
  CHECK(values<std::int8_t>("i8", storage::i8, {2}) == std::vector<std::int8_t>{-4, 4});
  CHECK(values<std::uint8_t>("u8", storage::u8, {1}) == std::vector<std::uint8_t>{200});
  CHECK(values<std::uint8_t>("boolean", storage::boolean, {2}) == std::vector<std::uint8_t>{1, 0});
}

TEST_CASE("a parameter, a scalar, tensors without elements, and a name that is not ASCII") {
  CHECK(values<float>("parameter", storage::f32, {1, 2}) == floats{1.5f, 2.5f});
  CHECK(values<float>("scalar", storage::f32, {}) == floats{0.5f});
  CHECK(values<float>("empty", storage::f32, {0, 3}).empty());
  CHECK(values<float>("tail", storage::f32, {0}).empty());
  CHECK(values<float>("\xce\xbb", storage::f32, {1}) == floats{1});
}

TEST_CASE("what torch puts where kernels can read it is used in place") {
  for (const char* name : {"f32", "rows", "f16", "bf16", "parameter"}) CHECK(usable_in_place(*golden().find(name)));
  for (const char* name : {"columns", "transposed", "steps", "expanded"}) CHECK(!usable_in_place(*golden().find(name)));
}
