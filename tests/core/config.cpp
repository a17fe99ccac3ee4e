// SPDX-License-Identifier: MIT
// RWKV7_MAX_HEAD_SIZE, in a program that sets it.
#define RWKV7_MAX_HEAD_SIZE 40
#include "rwkv7/core/config.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/wkv7.hpp"

using rwkv7::index_t;
using rwkv7::view;

namespace {

template <class Exec>
std::vector<float> run(Exec exec, index_t N) {
  std::vector<float> x(static_cast<std::size_t>(9 * N), 0.1f), y(x.size(), -1.0f);
  const view<const float, 4> in(x.data(), {1, 9, 1, N});
  rwkv7::wkv7(exec, rwkv7::dense{1, 9},
              rwkv7::wkv7_inputs<float>{.r = in, .w = rwkv7::decay<float>::log(in), .k = in, .v = in, .a = in, .b = in},
              view<float, 4>(y.data(), {1, 9, 1, N}));
  return y;
}

}  // namespace

TEST_CASE("heads up to the size that was compiled in work") {
  static_assert(rwkv7::max_head_size == 40);
  const auto y = run(rwkv7::inline_executor{}, 40), want = run(rwkv7::reference_executor{}, 40);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(want[i]).epsilon(1e-5));
  CHECK(run(rwkv7::inline_executor{}, 1)[0] != -1.0f);
}

TEST_CASE("a larger head is refused, and the complaint names the macro") {
  const char* complaint =
      "rwkv7::wkv7: head size N: got 41, want at most 40 (define RWKV7_MAX_HEAD_SIZE to compile in more)";
  CHECK_THROWS_WITH_AS(run(rwkv7::inline_executor{}, 41), complaint, rwkv7::error);
  CHECK_THROWS_WITH_AS(run(rwkv7::reference_executor{}, 41), complaint, rwkv7::error);
}

TEST_CASE("extents are signed and wide enough for any tensor") {
  static_assert(std::is_signed_v<index_t> && sizeof(index_t) == 8);
  CHECK(true);
}
