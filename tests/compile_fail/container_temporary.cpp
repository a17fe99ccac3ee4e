// SPDX-License-Identifier: MIT
// A temporary vector; a temporary span is fine, because it owns nothing.
// expect: rwkv7: a temporary container would be gone before the view is used
#include <vector>

#include "rwkv7/adapt/span.hpp"

auto call(std::vector<float>& v) {
#ifdef RWKV7_COMPILE_FAIL_CONTROL
  return rwkv7::as_view(std::span<float>(v), {2, 3});
#else
  return rwkv7::as_view(std::vector<float>(v), {2, 3});
#endif
}
