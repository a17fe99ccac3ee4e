// SPDX-License-Identifier: MIT
#include "support/block_calls.hpp"
#include "support/erased_calls.hpp"

namespace rwkv7_test {

std::vector<op_call> block_calls(const op_sizes& sizes, rwkv7::dtype type, const allocator& allocate) {
  std::vector<op_call> calls;
  for_each_block(sizes, type, allocate, collect<true>(calls));
  return calls;
}

}  // namespace rwkv7_test
