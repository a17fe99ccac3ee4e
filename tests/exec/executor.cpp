// SPDX-License-Identifier: MIT
#include "rwkv7/exec/executor.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "rwkv7/exec/bulk.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/exec/threads.hpp"
#include "rwkv7/ops/group_norm.hpp"
#include "rwkv7/ops/wkv7.hpp"
#include "support/compare.hpp"
#include "support/pattern.hpp"

using rwkv7::cpu_executor;
using rwkv7::executor;
using rwkv7::index_t;
using rwkv7::view;

namespace {

/// What a user writes who wants to decide about everything: no base class, no registration.
struct backwards_executor {
  using backend_tag = rwkv7::backend::cpu::tag<rwkv7::native_arch>;
  index_t tasks = 0;

  index_t concurrency() const { return 3; }
  template <class F>
  void bulk(index_t n, F&& f) {
    tasks += n;
    for (index_t i = n; i-- > 0;) std::thread([&] { f(i); }).join();
  }
};

struct no_tag {
  index_t concurrency() const { return 1; }
  template <class F>
  void bulk(index_t n, F&& f) {
    for (index_t i = 0; i < n; ++i) f(i);
  }
};
struct no_bulk {
  using backend_tag = rwkv7::backend::cpu::tag<rwkv7::native_arch>;
  index_t concurrency() const { return 1; }
};
struct no_concurrency : no_tag {
  using backend_tag = rwkv7::backend::cpu::tag<rwkv7::native_arch>;
  void concurrency() const {}
};
struct other_tag : no_tag {
  struct backend_tag {};
};

using bulk_example = rwkv7::bulk_executor<void (*)(index_t, rwkv7::detail::any_task&)>;

static_assert(cpu_executor<rwkv7::inline_executor>);
static_assert(cpu_executor<const rwkv7::inline_executor&>);
static_assert(cpu_executor<rwkv7::basic_inline_executor<xsimd::sse2>>);
static_assert(cpu_executor<rwkv7::thread_executor>);
static_assert(cpu_executor<rwkv7::thread_executor&>);
static_assert(cpu_executor<bulk_example>);
static_assert(cpu_executor<backwards_executor>);
static_assert(executor<rwkv7::reference_executor> && !cpu_executor<rwkv7::reference_executor>);
static_assert(executor<other_tag> && !cpu_executor<other_tag>);
static_assert(executor<no_bulk> && !cpu_executor<no_bulk>);
static_assert(executor<no_concurrency> && !cpu_executor<no_concurrency>);
static_assert(!executor<no_tag>);
static_assert(!executor<int>);

struct problem {
  index_t B = 3, T = 40, H = 8, N = 64;
  std::vector<float> x = rwkv7_test::pattern("x", B* T* H* N, 0, 0.1f);
  std::vector<float> w = rwkv7_test::pattern("w", H* N, 0, 1);

  view<const float, 4> operand() const { return {x.data(), {B, T, H, N}}; }

  template <class Exec>
  std::vector<float> run(Exec&& exec) const {
    std::vector<float> y(x.size()), S(static_cast<std::size_t>(B * H * N * N));
    const auto in = operand();
    const view<float, 4> out(y.data(), {B, T, H, N});
    const rwkv7::weights<1> scale = view<const float, 1>(w.data(), {H * N});
    rwkv7::wkv7(
        exec, rwkv7::dense{B, T},
        rwkv7::wkv7_inputs<float>{.r = in, .w = rwkv7::decay<float>::loglog(in), .k = in, .v = in, .a = in, .b = in},
        out, {.final = view<float, 4>(S.data(), {B, H, N, N})});
    rwkv7::group_norm(exec, rwkv7::group_norm_inputs<float>{.x = out, .weight = scale, .bias = scale}, out);
    y.insert(y.end(), S.begin(), S.end());
    return y;
  }
};

}  // namespace

TEST_CASE("a user's own executor type runs operations and changes no bit") {
  const problem p;
  backwards_executor mine;
  CHECK(rwkv7_test::same_bits(p.run(mine), p.run(rwkv7::inline_executor{})));
  CHECK(mine.tasks > 2);
}

TEST_CASE("executors are taken by reference, as temporaries, and const where their bulk is") {
  const problem p;
  rwkv7::inline_executor named;
  const rwkv7::inline_executor constant;
  const auto want = p.run(named);
  CHECK(rwkv7_test::same_bits(p.run(constant), want));
  CHECK(rwkv7_test::same_bits(p.run(rwkv7::inline_executor{}), want));
  CHECK(rwkv7_test::same_bits(p.run(rwkv7::thread_executor(2)), want));
  CHECK(!rwkv7_test::same_bits(p.run(rwkv7::reference_executor{}), want));  // another back end, other last digits
}
