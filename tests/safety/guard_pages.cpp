// SPDX-License-Identifier: MIT
// rwkv7-test: all calls
// No operation and no block reads or writes one element too many, in either direction, on any instruction set.
#include "support/guard_pages.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <span>
#include <string>
#include <vector>

#include "support/all_calls.hpp"
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

void run_everything(rwkv7_test::any_executor exec, std::span<const op_sizes> all = odd) {
  using rwkv7::dtype;
  for (const guard where : {guard::before, guard::after})
    for (const auto& sizes : all) {
      guarded_memory memory(where);
      const auto allocate = [&](std::size_t bytes, rwkv7_test::role) { return memory.allocate(bytes); };
      const auto run = [&](const std::vector<rwkv7_test::op_call>& calls) {
        for (const auto& call : calls) {
          INFO(call.name, ", N ", sizes.N, ", C ", sizes.C, where == guard::before ? ", page before" : ", page after");
          call.run(exec);  // or the program ends here
          CHECK(true);
        }
      };
      run(rwkv7_test::wkv7_calls(sizes, allocate));
      run(rwkv7_test::wkv_calls(sizes, allocate));
      for (const dtype type : {dtype::f32, dtype::bf16, dtype::f16})
        run(rwkv7_test::other_op_calls(sizes, type, allocate));
      run(rwkv7_test::block_calls(sizes, dtype::f16, allocate));
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
  run_everything(&exec);
}

#if !defined(RWKV7_TEST_SANITIZER)  // see erased_calls.hpp
TEST_CASE("nothing outside an operand is touched on the other instruction sets") {
  rwkv7_test::other_arch<xsimd::sse2> sse2;
  run_everything(&sse2);
  rwkv7_test::other_arch<xsimd::fma3<xsimd::avx2>> avx2;
  run_everything(&avx2);
}
#endif

TEST_CASE("nothing outside an operand is touched by the definition of an operation") {
  rwkv7::reference_executor exec;
  run_everything(&exec);
}

TEST_CASE("ranges of several threads end where they should") {
  int splits = 0;
  rwkv7_test::pool_executor exec(7, {[&](rwkv7::index_t n, auto& task) {
                                   ++splits;
                                   while (n-- > 0) task(n);
                                 }});
  run_everything(&exec, splittable);
  CHECK(splits > 100);
}
