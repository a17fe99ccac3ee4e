// SPDX-License-Identifier: MIT
/// Runs on a pool the caller already has.
#pragma once

#include <utility>

#include "rwkv7/core/arch.hpp"
#include "rwkv7/exec/executor.hpp"

namespace rwkv7 {

/// `run(n, task)` must call task(i) once for every i in [0, n) and return when all calls have returned. `task` is a
/// reference to a callable that lives until then: pass on the reference, not a copy. Calls too small to be worth a
/// thread do not come here: kernels run them on the calling thread.
///
///   bulk_executor exec(4, [&](index_t n, auto& task) { my_pool.parallel_for(0, n, std::ref(task)); });
template <class Run, class Arch = native_arch>
class bulk_executor {
 public:
  using backend_tag = backend::cpu::tag<Arch>;

  /// `concurrency` is how many tasks may run at once.
  bulk_executor(index_t concurrency, Run run) : run_(std::move(run)), concurrency_(concurrency) {}

  index_t concurrency() const noexcept { return concurrency_; }
  template <class F>
  void bulk(index_t n, F&& f) {
    if (n == 1) return f(index_t{0});
    if (n > 1) run_(n, f);
  }

 private:
  Run run_;
  index_t concurrency_;
};

}  // namespace rwkv7
