// SPDX-License-Identifier: MIT
/// Every executor the tests run: each kind, with some numbers of threads, and every instruction set this build allows.
#pragma once

#include <doctest/doctest.h>
#include <atomic>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/bulk.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/exec/spin.hpp"
#include "rwkv7/exec/threads.hpp"

namespace rwkv7_test {

using rwkv7::index_t;

/// A caller's own pool at its plainest: new threads for every call, tasks in whatever order they come.
struct plain_threads {
  int threads;
  template <class Task>
  void operator()(index_t n, Task& task) const {
    std::atomic<index_t> next{0};
    std::vector<std::thread> team;
    for (int i = 0; i < threads; ++i)
      team.emplace_back([&] {
        for (index_t at; (at = next.fetch_add(1)) < n;) task(at);
      });
    for (auto& member : team) member.join();
  }
};

/// f(exec) for every number of threads, all of one instruction set: results must not differ by a bit.
template <class F>
void for_each_threading(F&& f) {
  for (const int threads : {1, 2, 3, 5}) {
    INFO("thread_executor of ", threads);
    rwkv7::thread_executor exec(threads);
    f(exec);
  }
  for (const int threads : {2, 3}) {
    INFO("spin_executor of ", threads);
    rwkv7::spin_executor exec(threads);
    f(exec);
  }
  INFO("bulk_executor");
  rwkv7::bulk_executor exec(3, plain_threads{3});
  f(exec);
}

namespace inner {
template <class Arch, class F>
void on_arch(F& f) {
  INFO("instruction set ", std::string(Arch::name()));
  rwkv7::basic_inline_executor<Arch> exec;
  f(exec);
}
}  // namespace inner

/// f(exec) for every instruction set the compiler may use here, the best of them last; under a sanitizer, whose builds
/// are slow and find nothing in one set that another does not have, for the best alone.
template <class F>
void for_each_arch(F&& f) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RWKV7_TEST_BEST_ARCH
#endif
#endif
#if defined(RWKV7_TEST_BEST_ARCH)
  inner::on_arch<rwkv7::native_arch>(f);
#else
#if defined(__SSE2__)
  inner::on_arch<xsimd::sse2>(f);
#endif
#if defined(__AVX2__) && defined(__FMA__)
  inner::on_arch<xsimd::fma3<xsimd::avx2>>(f);
#elif defined(__AVX2__)
  inner::on_arch<xsimd::avx2>(f);
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__)
  inner::on_arch<xsimd::avx512bw>(f);
#endif
#if !defined(__SSE2__)
  inner::on_arch<rwkv7::native_arch>(f);
#endif
#endif
}

/// f(exec) for every executor that computes in float on SIMD kernels.
template <class F>
void for_each_cpu_executor(F&& f) {
  for_each_arch(f);
  for (const int threads : {2, 3}) {
    INFO("thread_executor of ", threads);
    rwkv7::thread_executor exec(threads);
    f(exec);
  }
  for (const int threads : {2, 3}) {
    INFO("spin_executor of ", threads);
    rwkv7::spin_executor exec(threads);
    f(exec);
  }
  INFO("bulk_executor");
  rwkv7::bulk_executor exec(3, plain_threads{3});
  f(exec);
}

/// f(exec, zero) for one executor of each kind, for what does not depend on the instruction set.
template <class F>
void for_each_kind(F&& f) {
  rwkv7::reference_executor reference;
  rwkv7::inline_executor alone;
  rwkv7::thread_executor threads(3);
  {
    INFO("reference_executor in double");
    f(reference, 0.0);
  }
  {
    INFO("inline_executor");
    f(alone, 0.0f);
  }
  INFO("thread_executor of 3");
  f(threads, 0.0f);
}

/// f(exec, zero) for every executor and every type it computes in, given by a zero of that type.
template <class F>
void for_each_executor(F&& f) {
  rwkv7::reference_executor reference;
  {
    INFO("reference_executor in double");
    f(reference, 0.0);
  }
  {
    INFO("reference_executor in float");
    f(reference, 0.0f);
  }
  for_each_cpu_executor([&](auto& exec) { f(exec, 0.0f); });
}

}  // namespace rwkv7_test
