// SPDX-License-Identifier: MIT
// An executor with the tag of the CPU back end that cannot run tasks.
// expect: rwkv7: this executor has no kernel of this operation
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

struct half_an_executor {
  using backend_tag = rwkv7::backend::cpu::tag<rwkv7::native_arch>;
#ifdef RWKV7_COMPILE_FAIL_CONTROL
  static rwkv7::index_t concurrency() { return 1; }
  template <class F>
  void bulk(rwkv7::index_t n, F&& f) const {
    for (rwkv7::index_t i = 0; i < n; ++i) f(i);
  }
#endif
};

void call(const rwkv7::view<float, 3>& x) {
  rwkv7::gate(half_an_executor{}, rwkv7::gate_inputs<float>{.x = x, .g = x}, x);
}
