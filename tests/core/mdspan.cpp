// SPDX-License-Identifier: MIT
// std::mdspan and Kokkos::mdspan as operands. Neither g++ 12 nor clang 14 ships <mdspan>, so the class below stands in:
// it has exactly the members of std::mdspan that rwkv7 relies on (data_handle, extent, stride, static rank), with an
// unsigned index type and a strided layout.
#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/gate.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/wkv7.hpp"

namespace {

/// Not derived from anything of rwkv7, and it converts to nothing by itself.
template <class Element, std::size_t Rank, class Index = std::size_t>
class mdspan {
 public:
  using element_type = Element;
  using index_type = Index;

  mdspan(Element* data, std::array<Index, Rank> extents) : data_(data), extents_(extents) {
    Index step = 1;
    for (std::size_t i = Rank; i-- > 0;) {
      strides_[i] = step;
      step = static_cast<Index>(step * extents[i]);
    }
  }
  mdspan(Element* data, std::array<Index, Rank> extents, std::array<Index, Rank> strides)
      : data_(data), extents_(extents), strides_(strides) {}

  static constexpr std::size_t rank() noexcept { return Rank; }
  constexpr Element* data_handle() const noexcept { return data_; }
  constexpr Index extent(std::size_t axis) const noexcept { return extents_[axis]; }
  constexpr Index stride(std::size_t axis) const noexcept { return strides_[axis]; }

 private:
  Element* data_;
  std::array<Index, Rank> extents_, strides_{};
};

std::vector<float> ramp(std::size_t n) {
  std::vector<float> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = 0.25f * static_cast<float>(i % 7) - 0.5f;
  return v;
}

}  // namespace

static_assert(rwkv7::mdspan_like<mdspan<float, 3>>);
static_assert(rwkv7::mdspan_like<mdspan<const float, 1, int>>);
static_assert(!rwkv7::mdspan_like<std::vector<float>>);
static_assert(std::is_convertible_v<mdspan<float, 3>, rwkv7::view<float, 3>>);
static_assert(std::is_convertible_v<mdspan<float, 3>, rwkv7::view<const float, 3>>);
static_assert(std::is_convertible_v<mdspan<const float, 3>, rwkv7::view<const float, 3>>);
static_assert(std::is_convertible_v<mdspan<const rwkv7::bf16, 2>, rwkv7::weights<2>>);
static_assert(!std::is_convertible_v<mdspan<double, 2>, rwkv7::weights<2>>);

TEST_CASE("an mdspan becomes a view with its extents and strides") {
  auto memory = ramp(100);
  const mdspan<float, 3> m(memory.data() + 2, {2, 3, 4}, {40, 10, 2});
  const rwkv7::view<const float, 3> v = m;
  CHECK(v.data() == m.data_handle());
  CHECK(v.extents() == rwkv7::view<float, 3>::index_array{2, 3, 4});
  CHECK(v.strides() == rwkv7::view<float, 3>::index_array{40, 10, 2});
}

TEST_CASE("a stride of a signed mdspan may be negative") {
  auto memory = ramp(12);
  const mdspan<float, 2, int> m(memory.data() + 8, {3, 4}, {-4, 1});
  const rwkv7::view<float, 2> v = m;
  CHECK(v.stride(0) == -4);
  CHECK(v.at(2, 3) == memory.data() + 3);
}

TEST_CASE("mdspans are operands and outputs of an operation, mixed with views, without an adaptor") {
  auto x = ramp(24), g = ramp(24);
  std::vector<float> y(24), z(24);
  const mdspan<const float, 3> mx(x.data(), {2, 3, 4});
  const mdspan<float, 3, int> mg(g.data(), {2, 3, 4});
  const mdspan<float, 3> my(y.data(), {2, 3, 4});
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = mx, .g = mg}, my);
  const rwkv7::view<float, 3> vz(z.data(), {2, 3, 4});
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = mx, .g = mg}, vz);
  for (std::size_t i = 0; i < 24; ++i) CHECK(y[i] == x[i] * g[i]);
  CHECK(y == z);
}

TEST_CASE("an mdspan is a weight in the element type it has") {
  const std::vector<float> x = {1, 2, 3};
  const std::vector<rwkv7::bf16> w = {rwkv7::bf16::from_float(0.5f), rwkv7::bf16::from_float(2.0f),
                                      rwkv7::bf16::from_float(-1.0f)};
  float y = 0;
  rwkv7::linear(rwkv7::inline_executor{},
                rwkv7::linear_inputs<float>{.x = mdspan<const float, 3>(x.data(), {1, 1, 3}),
                                            .weight = mdspan<const rwkv7::bf16, 2>(w.data(), {1, 3})},
                mdspan<float, 3>(&y, {1, 1, 1}));
  CHECK(y == 1.5f);
}

TEST_CASE("an mdspan is a decay once its form is said, and a state") {
  std::vector<double> S(4, 1.0);
  std::vector<double> r(2, 1.0), w(2, 0.5), zero(2, 0.0), y(2);
  const auto operand = [](std::vector<double>& v) { return mdspan<double, 4>(v.data(), {1, 1, 1, 2}); };
  const mdspan<double, 4> state(S.data(), {1, 1, 2, 2});
  rwkv7::wkv7(rwkv7::reference_executor{}, rwkv7::dense{1, 1},
              rwkv7::wkv7_inputs<double>{.r = operand(r),
                                         .w = rwkv7::decay<double>::factor(operand(w)),
                                         .k = operand(zero),
                                         .v = operand(zero),
                                         .a = operand(zero),
                                         .b = operand(zero)},
              operand(y), {.initial = state, .final = state});
  CHECK(y == std::vector<double>{1.0, 1.0});
  CHECK(S == std::vector<double>(4, 0.5));
}
