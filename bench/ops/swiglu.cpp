// SPDX-License-Identifier: MIT
#include "rwkv7/ops/swiglu.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("swiglu", {.inputs = 2, .outputs = 1, .parameters = 0, .flops_per_channel = 25},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  swiglu(exec, swiglu_inputs<T>{.gate = z.x(0), .up = z.x(1)}, z.y(0));
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
