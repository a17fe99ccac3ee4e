// SPDX-License-Identifier: MIT
// rwkv7-test: not sanitized
// rwkv7-test: all calls
// No operation and no block asks for memory, on any thread.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rwkv7/ops/gate.hpp"
#include "support/all_calls.hpp"
#include "support/allocation_counter.hpp"
#include "support/thread_team.hpp"

using rwkv7::index_t;
using rwkv7_test::allocation_counter;
using rwkv7_test::op_sizes;

namespace {

// Small, with tails everywhere; and so large that work is split over threads and no buffer could hide on a stack.
constexpr op_sizes small{}, large{.B = 2, .T = 100, .H = 8, .H_kv = 4, .N = 64, .C = 256, .rank = 64};
constexpr op_sizes widest_head{.B = 1, .T = 34, .H = 2, .H_kv = 1, .N = rwkv7::max_head_size, .C = 64, .rank = 8};

/// Returns when every thread of the executor has run something: a thread may allocate while it starts.
template <class Exec>
void start_all_threads(Exec& exec) {
  std::atomic<index_t> running = 0;
  exec.bulk(exec.concurrency(), [&](index_t) {
    ++running;
    while (running < exec.concurrency()) std::this_thread::yield();
  });
}

void check_no_allocation(rwkv7_test::any_executor exec, const op_sizes& sizes) {
  using rwkv7::dtype;
  std::deque<std::vector<float>> memory;
  const auto allocate = [&](std::size_t bytes, rwkv7_test::role) -> void* {
    return memory.emplace_back((bytes + 3) / 4).data();
  };
  const auto check = [&](const std::vector<rwkv7_test::op_call>& calls) {
    for (const auto& call : calls) {
      call.run(exec);  // lazy symbols are bound
      {
        const allocation_counter::armed counting;
        call.run(exec);
      }
      const long news = allocation_counter::new_calls(), mallocs = allocation_counter::malloc_calls();
      CHECK_MESSAGE(news == 0, call.name);
      CHECK_MESSAGE(mallocs == 0, call.name);
    }
  };
  check(rwkv7_test::wkv7_calls(sizes, allocate));
  check(rwkv7_test::wkv_calls(sizes, allocate));
  for (const dtype type : {dtype::f32, dtype::bf16}) check(rwkv7_test::other_op_calls(sizes, type, allocate));
  check(rwkv7_test::block_calls(sizes, dtype::f16, allocate));
}

/// So that no compiler removes an allocation nobody uses.
const volatile void* volatile sink;
void keep(const volatile void* p) { sink = p; }

using test_function = void (*)();

constexpr test_function news[] = {
    [] {
      auto* p = new int(1);
      keep(p);
      delete p;
    },
    [] {
      auto* p = new int[100];
      keep(p);
      delete[] p;
    },
    [] {
      struct alignas(128) wide {
        char bytes[128];
      };
      auto* p = new wide;
      keep(p);
      delete p;
    },
    [] { keep(std::make_unique<std::vector<float>>(10).get()); },
};

void keep_and_free(void* p) {
  keep(p);
  std::free(p);
}
constexpr test_function mallocs[] = {
    [] { keep_and_free(std::malloc(10)); },
    [] { keep_and_free(std::calloc(10, 10)); },
    [] { keep_and_free(std::realloc(nullptr, 10)); },
};
constexpr test_function aligned_mallocs[] = {
    [] { keep_and_free(std::aligned_alloc(64, 64)); },
    [] {
      void* p = nullptr;
      if (posix_memalign(&p, 64, 64) == 0) keep_and_free(p);
    },
};

void count(test_function f, bool on_another_thread) {
  std::atomic<bool> ready = false, go = false;
  std::thread other([&] {
    ready = true;
    while (!go) std::this_thread::yield();
    if (on_another_thread) f();
  });
  while (!ready) std::this_thread::yield();
  {
    const allocation_counter::armed counting;
    if (!on_another_thread) f();
    go = true;
    other.join();
  }
}

}  // namespace

TEST_CASE("the counters work: each way to ask for memory is seen, on this thread and on others") {
  for (const bool on_another_thread : {false, true}) {
    for (const auto f : news) {
      count(f, on_another_thread);
      if (rwkv7_test::counts_new) CHECK(allocation_counter::new_calls() > 0);
      if (rwkv7_test::counts_malloc) CHECK(allocation_counter::malloc_calls() > 0);
    }
    for (const auto f : mallocs) {
      count(f, on_another_thread);
      if (rwkv7_test::counts_malloc) CHECK(allocation_counter::malloc_calls() > 0);
      CHECK(allocation_counter::new_calls() == 0);
    }
    for (const auto f : aligned_mallocs) {
      count(f, on_another_thread);
      if (rwkv7_test::counts_aligned_alloc) CHECK(allocation_counter::malloc_calls() > 0);
    }
    count([] {}, on_another_thread);
    CHECK(allocation_counter::malloc_calls() == 0);
  }
}

TEST_CASE("nothing is allocated on the calling thread") {
  rwkv7::inline_executor exec;
  for (const auto& sizes : {small, large, widest_head}) check_no_allocation(&exec, sizes);
}

TEST_CASE("nothing is allocated by the definition of an operation") {
  rwkv7::reference_executor exec;
  for (const auto& sizes : {small, widest_head}) check_no_allocation(&exec, sizes);
}

TEST_CASE("nothing is allocated by or for the threads of a thread_executor") {
  for (const int threads : {2, 4}) {
    rwkv7::thread_executor exec(threads);
    start_all_threads(exec);
    for (const auto& sizes : {small, large}) check_no_allocation(&exec, sizes);
  }
}

TEST_CASE("nothing is allocated on the user's pool") {
  rwkv7_test::thread_team team(2);
  rwkv7_test::pool_executor exec(3, {[&](index_t n, auto& task) { team.parallel_for(n, std::ref(task)); }});
  start_all_threads(exec);
  for (const auto& sizes : {small, large}) check_no_allocation(&exec, sizes);
}

TEST_CASE("a call that is refused allocates nothing before it reports") {
  std::vector<float> x(64);
  const rwkv7::view<float, 3> v(x.data(), {1, 4, 16}), wrong(x.data(), {1, 4, 15});
  const rwkv7::gate_inputs<float> in{.x = v, .g = v};
  bool refused = false;
  {
    const allocation_counter::armed counting;
    refused = static_cast<bool>(rwkv7::validate_gate(in, wrong));
  }
  CHECK(refused);
  CHECK(allocation_counter::new_calls() + allocation_counter::malloc_calls() == 0);
}
