// SPDX-License-Identifier: MIT
#include "rwkv7/ops/squared_relu.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("squared_relu", {.inputs = 1, .outputs = 1, .parameters = 0, .flops_per_channel = 2},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  squared_relu(exec, squared_relu_inputs<T>{.x = z.x(0)}, z.y(0));
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
