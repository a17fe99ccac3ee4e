// SPDX-License-Identifier: MIT
/// Which back end did the work? The right number from the wrong one must not pass.
#pragma once

#include "rwkv7/core/arch.hpp"
#include "rwkv7/exec/executor.hpp"

namespace rwkv7_test {

/// Every kernel of the CPU back end asks its executor how many threads there are, once it has something to do; no
/// kernel of another back end does. So the questions witness that a CPU kernel of this instruction set ran, and that
/// none did, without a line of code in the library.
template <class Tag = rwkv7::backend::cpu::tag<rwkv7::native_arch>>
class witness {
 public:
  using backend_tag = Tag;

  rwkv7::index_t concurrency() {
    ++questions_;
    return 2;
  }
  template <class F>
  void bulk(rwkv7::index_t n, F&& f) {
    ++questions_;
    for (rwkv7::index_t i = 0; i < n; ++i) f(i);
  }

  /// Did a CPU kernel run since this was asked last?
  bool cpu_kernel_ran() {
    const bool ran = questions_ > 0;
    questions_ = 0;
    return ran;
  }

 private:
  int questions_ = 0;
};

}  // namespace rwkv7_test
