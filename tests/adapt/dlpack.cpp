// SPDX-License-Identifier: MIT
// With the dlpack.h of this machine, where there is one, and with the stand-ins below: the layout of 0.5 to 1.x, by
// member names alone.
#include "rwkv7/adapt/dlpack.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#endif

using rwkv7::as_view;
using rwkv7::as_weights;
using rwkv7::bf16;
using rwkv7::f16;
using rwkv7::view;

namespace stand_in {

struct device {
  int device_type, device_id;
};
struct data_type {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};
struct tensor {
  void* data;
  stand_in::device device;
  std::int32_t ndim;
  data_type dtype;
  std::int64_t *shape, *strides;
  std::uint64_t byte_offset;
};
struct managed {
  tensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(managed*);
};
struct managed_versioned {  // since 1.0
  struct {
    std::uint32_t major, minor;
  } version;
  void* manager_ctx;
  void (*deleter)(managed_versioned*);
  std::uint64_t flags;
  tensor dl_tensor;
};

}  // namespace stand_in

namespace {

#if __has_include(<dlpack/dlpack.h>)
using tensor = DLTensor;
using managed = DLManagedTensor;
constexpr auto cpu = kDLCPU, gpu = kDLCUDA, pinned = kDLCUDAHost;
static_assert(static_cast<int>(kDLFloat) == 2 && static_cast<int>(kDLInt) == 0 && static_cast<int>(kDLBfloat) == 4);
#else
using stand_in::managed;
using stand_in::tensor;
constexpr int cpu = 1, gpu = 2, pinned = 3;
#endif

/// [2, 3] floats 0 … 5 at `values`, dense, without strides.
struct example {
  std::array<float, 6> values = {0, 1, 2, 3, 4, 5};
  std::array<std::int64_t, 2> shape = {2, 3}, strides = {3, 1};
  tensor t{values.data(), {cpu, 0}, 2, {2, 32, 1}, shape.data(), nullptr, 0};
};

template <class F>
void refuses(const char* message, F&& change) {
  example e;
  change(e);
  CHECK_THROWS_WITH_AS((as_view<const float, 2>(e.t)), message, rwkv7::error);
}

}  // namespace

TEST_CASE("a tensor without strides is dense") {
  example e;
  const auto v = as_view<const float, 2>(e.t);
  static_assert(std::is_same_v<decltype(v), const view<const float, 2>>);
  CHECK(v == view<const float, 2>(e.values.data(), {2, 3}));
  CHECK(as_view<float, 2>(e.t) == view<float, 2>(e.values.data(), {2, 3}));
}

TEST_CASE("strides and offset are kept: a transpose, a reversed axis, a column") {
  example e;
  e.shape = {3, 2}, e.strides = {1, 3};
  e.t.strides = e.strides.data();
  CHECK(as_view<const float, 2>(e.t) == view<const float, 2>(e.values.data(), {3, 2}, {1, 3}));
  e.shape = {2, 3}, e.strides = {-3, 1};
  e.t.byte_offset = 3 * sizeof(float);
  const auto reversed = as_view<const float, 2>(e.t);
  CHECK(reversed(0, 0) == 3);
  CHECK(reversed(1, 2) == 2);
  e.t.ndim = 1, e.shape = {2, 0}, e.strides = {3, 0}, e.t.byte_offset = 2 * sizeof(float);
  const auto column = as_view<const float, 1>(e.t);
  CHECK(column(0) == 2);
  CHECK(column(1) == 5);
}

TEST_CASE("managed tensors of both generations are taken as they are") {
  example e;
  managed old{};
  old.dl_tensor = e.t;
  CHECK(as_view<float, 2>(old).data() == e.values.data());
  stand_in::managed_versioned current{};
  current.dl_tensor = {e.values.data(), {1, 0}, 2, {2, 32, 1}, e.shape.data(), nullptr, 0};
  CHECK(as_view<float, 2>(current).data() == e.values.data());
}

TEST_CASE("a read-only tensor can be read and not written") {
  example e;
  stand_in::managed_versioned m{};
  m.dl_tensor = {e.values.data(), {1, 0}, 2, {2, 32, 1}, e.shape.data(), nullptr, 0};
  m.flags = 1;
  CHECK(as_view<const float, 2>(m).data() == e.values.data());
  CHECK_THROWS_WITH_AS((as_view<float, 2>(m)), "rwkv7::as_view: DLPack tensor: is read only", rwkv7::error);
  m.flags = 2;  // "is a copy"
  CHECK(as_view<float, 2>(m).data() == e.values.data());
}

TEST_CASE("every element type the library knows, by its code and bits") {
  std::int64_t shape = 2;
  std::array<std::uint64_t, 2> memory{};
  const auto of = [&](int code, int bits) {
    return tensor{memory.data(), {cpu, 0}, 1, {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(bits), 1},
                  &shape,        nullptr,  0};
  };
  CHECK(as_view<float, 1>(of(2, 32)).size() == 2);
  CHECK(as_view<double, 1>(of(2, 64)).size() == 2);
  CHECK(as_view<f16, 1>(of(2, 16)).size() == 2);
  CHECK(as_view<bf16, 1>(of(4, 16)).size() == 2);
  CHECK(as_view<std::int32_t, 1>(of(0, 32)).size() == 2);
  CHECK(as_view<const std::int64_t, 1>(of(0, 64)).size() == 2);
  CHECK(as_weights<1>(of(2, 32)).type() == rwkv7::dtype::f32);
  CHECK(as_weights<1>(of(2, 16)).type() == rwkv7::dtype::f16);
  CHECK(as_weights<1>(of(4, 16)).type() == rwkv7::dtype::bf16);

  CHECK_THROWS_WITH_AS((as_view<float, 1>(of(2, 64))),
                       "rwkv7::as_view: DLPack tensor: got elements of type float, 64 bits, want float, 32 bits",
                       rwkv7::error);
  CHECK_THROWS_WITH_AS((as_view<f16, 1>(of(4, 16))),
                       "rwkv7::as_view: DLPack tensor: got elements of type bfloat, 16 bits, want float, 16 bits",
                       rwkv7::error);
  CHECK_THROWS_WITH_AS((as_view<std::int32_t, 1>(of(1, 32))),
                       "rwkv7::as_view: DLPack tensor: got elements of type unsigned int, 32 bits, want int, 32 bits",
                       rwkv7::error);
  CHECK_THROWS_WITH_AS((as_weights<1>(of(200, 8))),
                       "rwkv7::as_view: DLPack tensor: got elements of type unknown type, 8 bits, want float, 32 bits",
                       rwkv7::error);
}

TEST_CASE("what is not a matrix of floats in host memory is refused in words") {
  refuses("rwkv7::as_view: DLPack tensor: got device type 2, want 1 (CPU)", [](example& e) { e.t.device = {gpu, 0}; });
  refuses("rwkv7::as_view: DLPack tensor: got 4 lanes, want 1", [](example& e) { e.t.dtype.lanes = 4; });
  refuses("rwkv7::as_view: DLPack tensor: got 3 axes, want 2", [](example& e) { e.t.ndim = 3; });
  refuses("rwkv7::as_view: DLPack tensor axis 1: got extent -3, want 0 or more", [](example& e) { e.shape[1] = -3; });
  refuses("rwkv7::as_view: DLPack tensor: no data", [](example& e) { e.t.data = nullptr; });
  refuses("rwkv7::as_view: DLPack tensor: its elements are not aligned to their size",
          [](example& e) { e.t.byte_offset = 2; });
}

TEST_CASE("page-locked host memory is host memory, and no elements need no memory") {
  example e;
  e.t.device = {pinned, 0};
  CHECK(as_view<const float, 2>(e.t).data() == e.values.data());
  e.shape[0] = 0;
  e.t.data = nullptr;
  CHECK(as_view<const float, 2>(e.t).size() == 0);
}

TEST_CASE("an operation reads and writes DLPack tensors where they lie") {
  example x, g, y;
  std::array<std::int64_t, 3> shape = {1, 2, 3};
  for (auto* e : {&x, &g, &y}) e->t.ndim = 3, e->t.shape = shape.data();
  rwkv7::gate(rwkv7::inline_executor{},
              rwkv7::gate_inputs<float>{.x = as_view<const float, 3>(x.t), .g = as_view<const float, 3>(g.t)},
              as_view<float, 3>(y.t));
  CHECK(y.values == std::array<float, 6>{0, 1, 4, 9, 16, 25});
}
