// SPDX-License-Identifier: MIT
/// Runs on Eigen's thread pool: one of its own, or one the program already has. Not part of timemix.hpp, because it is
/// the only executor that needs Eigen.
#pragma once

#include <atomic>
#include <memory>
#include <unsupported/Eigen/CXX11/ThreadPool>

#include "rwkv7/core/arch.hpp"
#include "rwkv7/exec/executor.hpp"

namespace rwkv7 {

/// The calling thread and those of an Eigen pool.
template <class Arch>
class basic_thread_executor {
 public:
  using backend_tag = backend::cpu::tag<Arch>;

  /// Starts threads - 1 workers; the calling thread works too.
  explicit basic_thread_executor(int threads)
      : owned_(threads > 1 ? std::make_unique<Eigen::ThreadPool>(threads - 1) : nullptr),
        pool_(owned_.get()),
        concurrency_(threads > 1 ? threads : 1) {}
  /// Borrows a pool, which must outlive the executor.
  explicit basic_thread_executor(Eigen::ThreadPoolInterface& pool)
      : pool_(&pool), concurrency_(pool.NumThreads() + 1) {}

  index_t concurrency() const noexcept { return concurrency_; }

  template <class F>
  void bulk(index_t n, F&& f) {
    // A call from one of the pool's own threads runs inline: waiting there for other tasks of the pool could deadlock.
    if (n <= 1 || !pool_ || pool_->CurrentThreadId() >= 0) {
      for (index_t i = 0; i < n; ++i) f(i);
      return;
    }
    const auto helpers = static_cast<unsigned>(n < concurrency_ ? n - 1 : concurrency_ - 1);
    job<std::remove_reference_t<F>> work{&f, n, {0}, Eigen::Barrier(helpers)};
    // The task captures one pointer, so that std::function keeps it without allocating.
    for (unsigned i = 0; i < helpers; ++i)
      pool_->Schedule([w = &work] {
        w->run();
        w->done.Notify();
      });
    work.run();
    work.done.Wait();
  }

 private:
  template <class F>
  struct job {
    F* f;
    index_t n;
    std::atomic<index_t> next;
    Eigen::Barrier done;
    void run() {
      for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) (*f)(i);
    }
  };

  std::unique_ptr<Eigen::ThreadPool> owned_;
  Eigen::ThreadPoolInterface* pool_;
  index_t concurrency_;
};

/// With the best kernels that the compiler flags allow.
using thread_executor = basic_thread_executor<native_arch>;

}  // namespace rwkv7
