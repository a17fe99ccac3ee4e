// SPDX-License-Identifier: MIT
// rwkv7-test: not sanitized
// rwkv7-test: no exceptions
// How a mistake reaches the caller in either kind of build: thrown where exceptions are on, told to a handler where
// they are off. In both, nothing was written.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "rwkv7/adapt/span.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/layer_norm.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/wkv7.hpp"
#include "support/reported.hpp"

using rwkv7::view;
using rwkv7_test::reported;

namespace {

constexpr float untouched = 12345.0f;

int calls = 0;
void count(const char*) { ++calls; }
void ignore(const char*) {}

bool all_untouched(const std::vector<float>& v) {
  return std::all_of(v.begin(), v.end(), [](float x) { return x == untouched; });
}

struct norm_call {
  std::vector<float> x = std::vector<float>(24, 1.0f), weight = std::vector<float>(4, 1.0f),
                     y = std::vector<float>(24, untouched);
  void operator()(rwkv7::index_t width) {
    const rwkv7::weights<1> w = view<float, 1>(weight.data(), {4});
    rwkv7::layer_norm(
        rwkv7::inline_executor{},
        rwkv7::layer_norm_inputs<float>{.x = view<const float, 3>(x.data(), {2, 3, 4}), .weight = w, .bias = w},
        view<float, 3>(y.data(), {2, 3, width}));
  }
};

}  // namespace

TEST_CASE("a wrong extent is reported in words and nothing is written") {
  norm_call norm;
  CHECK(reported([&] { norm(3); }) == "rwkv7::layer_norm: y axis C: got 3, want 4");
  CHECK(all_untouched(norm.y));
}

TEST_CASE("a correct call is not reported") {
  norm_call norm;
  CHECK(reported([&] { norm(4); }).empty());
  CHECK(!all_untouched(norm.y));
}

TEST_CASE("a recurrence with a bad list of sequences writes neither output nor state") {
  std::vector<float> x(4 * 8, 0.5f), y(4 * 8, untouched), S(2 * 8 * 8, untouched);
  const view<const float, 4> in(x.data(), {1, 4, 1, 8});
  const std::vector<std::int32_t> cu = {0, 3, 4}, slots = {1, 1};
  const auto run = [&](auto exec) {
    rwkv7::wkv7(
        exec, rwkv7::packed{.cu_seqlens = cu, .state_indices = slots},
        rwkv7::wkv7_inputs<float>{.r = in, .w = rwkv7::decay<float>::factor(in), .k = in, .v = in, .a = in, .b = in},
        view<float, 4>(y.data(), {1, 4, 1, 8}), rwkv7::state<float>::in_place(view<float, 4>(S.data(), {2, 1, 8, 8})));
  };
  const std::string want = "rwkv7::wkv7: state_indices[1]: got 1 again, want distinct slots";
  CHECK(reported([&] { run(rwkv7::inline_executor{}); }) == want);
  CHECK(reported([&] { run(rwkv7::reference_executor{}); }) == want);
  CHECK(all_untouched(y));
  CHECK(all_untouched(S));
}

TEST_CASE("an output that overlaps its input is reported and the input survives") {
  std::vector<float> x(16, untouched);
  const std::vector<float> w(16, 1.0f);
  CHECK(reported([&] {
          rwkv7::linear(rwkv7::inline_executor{},
                        rwkv7::linear_inputs<float>{.x = view<const float, 3>(x.data(), {1, 1, 4}),
                                                    .weight = view<const float, 2>(w.data(), {4, 4})},
                        view<float, 3>(x.data() + 3, {1, 1, 4}));
        }) == "rwkv7::linear: y overlaps x");
  CHECK(all_untouched(x));
}

TEST_CASE("validate says the same without reporting") {
  std::vector<float> x(4), w(16), y(4);
  const auto problem =
      rwkv7::validate_linear(rwkv7::linear_inputs<float>{.x = view<const float, 3>(x.data(), {1, 1, 4}),
                                                         .weight = view<const float, 2>(w.data(), {4, 4})},
                             view<float, 3>(y.data(), {1, 1, 3}));
  CHECK(problem);
  CHECK(std::string(problem.message()) == "rwkv7::linear: y axis out: got 3, want 4");
}

TEST_CASE("memory of the wrong length gives an absent view, which every operation refuses") {
  std::vector<float> x(5);
  view<float, 3> v(x.data(), {1, 1, 5});
  CHECK(reported([&] { v = rwkv7::as_view(x, {1, 2, 3}); }) == "rwkv7::as_view: memory: got 5 elements, want 6");
#if RWKV7_EXCEPTIONS
  CHECK(v.data() == x.data());
#else
  CHECK(!v);
#endif
}

TEST_CASE("installing a handler gives back the one before it") {
  // Parentheses, because doctest cannot print a function.
  CHECK((rwkv7::set_error_handler(count) == nullptr));
  CHECK((rwkv7::set_error_handler(ignore) == count));
  CHECK((rwkv7::set_error_handler(nullptr) == ignore));
  CHECK((rwkv7::set_error_handler(nullptr) == nullptr));
}

#if RWKV7_EXCEPTIONS
TEST_CASE("where exceptions are on, an installed handler is not called") {
  calls = 0;
  rwkv7::set_error_handler(count);
  norm_call norm;
  CHECK_THROWS_AS(norm(3), rwkv7::error);
  CHECK_THROWS_AS(norm(3), std::invalid_argument);
  rwkv7::set_error_handler(nullptr);
  CHECK(calls == 0);
}
#else
TEST_CASE("where exceptions are off, the handler is called once for each mistake and the operation returns") {
  calls = 0;
  rwkv7::set_error_handler(count);
  norm_call norm;
  norm(3);
  norm(5);
  rwkv7::set_error_handler(nullptr);
  CHECK(calls == 2);
  CHECK(all_untouched(norm.y));
}

TEST_CASE("where exceptions are off and no handler is installed, the operation returns having written nothing") {
  norm_call norm;
  norm(3);
  CHECK(all_untouched(norm.y));
}
#endif
