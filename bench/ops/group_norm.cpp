// SPDX-License-Identifier: MIT
#include "rwkv7/ops/group_norm.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("group_norm", {.inputs = 1, .outputs = 1, .parameters = 2, .flops_per_channel = 8},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  group_norm(exec, group_norm_inputs<T>{.x = z.x_heads(0), .weight = z.param(0), .bias = z.param(1)},
                             z.y_heads(0));
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
