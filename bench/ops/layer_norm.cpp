// SPDX-License-Identifier: MIT
#include "rwkv7/ops/layer_norm.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("layer_norm", {.inputs = 1, .outputs = 1, .parameters = 2, .flops_per_channel = 8},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  layer_norm(exec, layer_norm_inputs<T>{.x = z.x(0), .weight = z.param(0), .bias = z.param(1)}, z.y(0));
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
