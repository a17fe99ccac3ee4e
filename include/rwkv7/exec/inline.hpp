// SPDX-License-Identifier: MIT
/// Runs on the calling thread.
#pragma once

#include "rwkv7/core/arch.hpp"
#include "rwkv7/exec/executor.hpp"

namespace rwkv7 {

/// The calling thread alone.
template <class Arch>
struct basic_inline_executor {
  using backend_tag = backend::cpu::tag<Arch>;

  static constexpr index_t concurrency() noexcept { return 1; }
  template <class F>
  void bulk(index_t n, F&& f) const {
    for (index_t i = 0; i < n; ++i) f(i);
  }
};

/// With the best kernels that the compiler flags allow.
using inline_executor = basic_inline_executor<native_arch>;

}  // namespace rwkv7
