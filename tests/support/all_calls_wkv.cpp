// SPDX-License-Identifier: MIT
#include "support/erased_calls.hpp"
#include "support/op_calls.hpp"

namespace rwkv7_test {

std::vector<op_call> wkv7_calls(const op_sizes& sizes, const allocator& allocate) {
  std::vector<op_call> calls;
  for_each_wkv7(sizes, allocate, collect<true>(calls));
  for_each_resident_state(sizes, allocate, collect<true>(calls));
  return calls;
}

std::vector<op_call> wkv_calls(const op_sizes& sizes, const allocator& allocate) {
  std::vector<op_call> calls;
  for_each_wkv(sizes, allocate, collect<false>(calls));
  return calls;
}

}  // namespace rwkv7_test
