// SPDX-License-Identifier: MIT
#include "rwkv7/ops/first_residual.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation(
      "first_residual", {.inputs = 3, .outputs = 1, .parameters = 0, .flops_per_channel = 23}, [](auto& exec, auto& z) {
        using T = typename std::remove_reference_t<decltype(z)>::element;
        first_residual(exec, first_residual_inputs<T>{.x = z.x_heads(0), .first = z.x_heads(1), .mix = z.x_heads(2)},
                       z.y_heads(0));
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
