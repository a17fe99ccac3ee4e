// SPDX-License-Identifier: MIT
#include "rwkv7/ops/readout.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("readout", {.inputs = 5, .outputs = 1, .parameters = 3, .flops_per_channel = 14},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  const weights<2> r_k(z.params[2].data(), dtype::f32, {z.e.H, z.e.N});
                  readout(exec,
                          readout_inputs<T>{.x = z.x_heads(0),
                                            .weight = z.param(0),
                                            .bias = z.param(1),
                                            .r = z.x_heads(1),
                                            .k = z.x_heads(2),
                                            .v = z.x_heads(3),
                                            .r_k = r_k,
                                            .g = z.x_heads(4)},
                          z.y_heads(0));
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
