// SPDX-License-Identifier: MIT
// A back end of one's own that has no kernel for the operation.
// expect: rwkv7: this executor has no kernel of this operation for this element type
#include "rwkv7/ops/gate.hpp"

namespace someone {

struct tag {};
struct executor {
  using backend_tag = tag;
};
#ifdef RWKV7_COMPILE_FAIL_CONTROL
void gate_kernel(tag, executor&, const rwkv7::gate_inputs<float>&, const rwkv7::view<float, 3>&) {}
#endif

}  // namespace someone

void call(const rwkv7::view<float, 3>& x) {
  rwkv7::gate(someone::executor{}, rwkv7::gate_inputs<float>{.x = x, .g = x}, x);
}
