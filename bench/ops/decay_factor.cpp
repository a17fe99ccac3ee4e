// SPDX-License-Identifier: MIT
#include "rwkv7/ops/decay_factor.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("decay_factor", {.inputs = 1, .outputs = 1, .parameters = 0, .flops_per_channel = 40},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  decay_factor(exec, decay_factor_inputs<T>{.w = decay<T>::logit(z.x_heads(0))}, z.y_heads(0));
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
