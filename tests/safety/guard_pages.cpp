// SPDX-License-Identifier: MIT
// No operation and no block reads or writes one element too many, in either direction, on any instruction set.
#include "support/guard_pages.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <span>
#include <string>
#include <type_traits>

#include "support/block_calls.hpp"
#include "support/op_calls.hpp"
#include "support/sanitizer.hpp"

using rwkv7_test::guard;
using rwkv7_test::guarded_memory;
using rwkv7_test::op_sizes;

namespace {

// Tails of every length, single elements, single tokens, more and fewer tokens than a block of the recurrence.
constexpr op_sizes odd[] = {
    {},
    {.B = 1, .T = 1, .H = 1, .H_kv = 1, .N = 1, .C = 1, .rank = 1},
    {.B = 3, .T = 9, .H = 3, .H_kv = 1, .N = 5, .C = 31, .rank = 3},
    {.B = 1, .T = 41, .H = 2, .H_kv = 2, .N = 65, .C = 97, .rank = 17},
    {.B = 2, .T = 8, .H = 2, .H_kv = 1, .N = 64, .C = 128, .rank = 32},
};

// So large that work is split, at numbers of channels that no split divides.
constexpr op_sizes splittable[] = {{.B = 2, .T = 100, .H = 5, .H_kv = 5, .N = 33, .C = 257, .rank = 65}};

/// `policies`: also wkv, which has three times the code of wkv7 and ends its rows no differently.
template <bool policies, class Exec>
void run_everything(Exec& exec, std::span<const op_sizes> all = odd) {
  for (const guard where : {guard::before, guard::after})
    for (const auto& sizes : all) {
      guarded_memory memory(where);
      const auto allocate = [&](std::size_t bytes, rwkv7_test::role) { return memory.allocate(bytes); };
      const auto visit = [&](const std::string& name, auto call) {
        INFO(name, ", N ", sizes.N, ", C ", sizes.C, where == guard::before ? ", page before" : ", page after");
        call(exec);  // or the program ends here
        CHECK(true);
      };
      rwkv7_test::for_each_wkv7(sizes, allocate, visit);
      if constexpr (policies) rwkv7_test::for_each_wkv(sizes, allocate, visit);
      rwkv7_test::for_each_other_op<float>(sizes, allocate, visit);
      rwkv7_test::for_each_other_op<rwkv7::bf16>(sizes, allocate, visit);
      rwkv7_test::for_each_other_op<rwkv7::f16>(sizes, allocate, visit);
      rwkv7_test::for_each_block<rwkv7::f16>(sizes, allocate, visit);
    }
}

/// Does a process of its own survive this?
template <class F>
bool survives(F f) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    std::signal(SIGBUS, SIG_DFL);
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("the pages are guarded: the last element can be touched, the one beyond it cannot") {
  guarded_memory before(guard::before), after(guard::after);
  volatile float* p = before.allocate_array<float>(5);
  volatile float* q = after.allocate_array<float>(5);
  CHECK(survives([=] { p[0] = 1; }));
  CHECK(survives([=] { q[4] = 1; }));
  CHECK(!survives([=] { static_cast<void>(p[-1]); }));
  CHECK(!survives([=] { p[-1] = 1; }));
  CHECK(!survives([=] { static_cast<void>(q[5]); }));
  CHECK(!survives([=] { q[5] = 1; }));
}

TEST_CASE("nothing outside an operand is touched on the best instruction set") {
  rwkv7::inline_executor exec;
  run_everything<true>(exec);
}

#if !defined(RWKV7_TEST_SANITIZER)  // which would take minutes to compile them
TEST_CASE("nothing outside an operand is touched on the other instruction sets") {
  const auto on = []<class Arch>(Arch) {
    if constexpr (Arch::supported() && !std::is_same_v<Arch, rwkv7::native_arch>) {
      rwkv7::basic_inline_executor<Arch> exec;
      run_everything<false>(exec);
    }
  };
  on(xsimd::sse2{});
  on(xsimd::fma3<xsimd::avx2>{});
}
#endif

TEST_CASE("nothing outside an operand is touched by the definition of an operation") {
  rwkv7::reference_executor exec;
  run_everything<true>(exec);
}

TEST_CASE("ranges of several threads end where they should") {
  int splits = 0;
  rwkv7::bulk_executor exec(7, [&](rwkv7::index_t n, auto& task) {
    ++splits;
    while (n-- > 0) task(n);
  });
  run_everything<true>(exec, splittable);
  CHECK(splits > 100);
}
