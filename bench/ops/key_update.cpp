// SPDX-License-Identifier: MIT
#include "rwkv7/ops/key_update.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation(
      "key_update", {.inputs = 2, .outputs = 3, .parameters = 2, .flops_per_channel = 9}, [](auto& exec, auto& z) {
        using T = typename std::remove_reference_t<decltype(z)>::element;
        key_update(exec,
                   key_update_inputs<T>{.k = z.x_heads(0), .eta = z.x_heads(1), .k_k = z.param(0), .k_a = z.param(1)},
                   {.k = z.y_heads(0), .a = z.y_heads(1), .b = z.y_heads(2)});
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
