// SPDX-License-Identifier: MIT
// The decay is left out: that, and nothing about its form, is what must be said.
// expect: rwkv7: a required operand was not given; the template argument Name says which
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/wkv7.hpp"

void call(const rwkv7::view<float, 4>& x) {
  rwkv7::wkv7(rwkv7::inline_executor{}, rwkv7::dense{1, 1},
              rwkv7::wkv7_inputs<float>{.r = x,
#ifdef RWKV7_COMPILE_FAIL_CONTROL
                                        .w = rwkv7::decay<float>::log(x),
#endif
                                        .k = x,
                                        .v = x,
                                        .a = x,
                                        .b = x},
              x);
}
