// SPDX-License-Identifier: MIT
// A plain view is given as decay.
// expect: rwkv7: say which form the decay is in: decay<T>::factor(w), log(w), loglog(w) or logit(w)
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/wkv7.hpp"

void call(const rwkv7::view<float, 4>& x) {
#ifdef RWKV7_COMPILE_FAIL_CONTROL
  const auto w = rwkv7::decay<float>::loglog(x);
#else
  const auto w = x;
#endif
  rwkv7::wkv7(rwkv7::inline_executor{}, rwkv7::dense{1, 1},
              rwkv7::wkv7_inputs<float>{.r = x, .w = w, .k = x, .v = x, .a = x, .b = x}, x);
}
