// SPDX-License-Identifier: MIT
#include "rwkv7/ops/rope.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("rope", {.inputs = 2, .outputs = 1, .parameters = 0, .flops_per_channel = 3}, [](auto& exec, auto& z) {
    using T = typename std::remove_reference_t<decltype(z)>::element;
    const index_t half = z.e.N / 2;
    rope(exec, rope_inputs<T>{.x = z.x_heads(0), .cos = slice(z.x(1), 2, 0, half), .sin = slice(z.x(1), 2, half, half)},
         z.y_heads(0));
  });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
