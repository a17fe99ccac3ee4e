// SPDX-License-Identifier: MIT
#include "rwkv7/ops/bonus.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("bonus", {.inputs = 3, .outputs = 1, .parameters = 1, .flops_per_channel = 5}, [](auto& exec, auto& z) {
    using T = typename std::remove_reference_t<decltype(z)>::element;
    const weights<2> r_k(z.params[0].data(), dtype::f32, {z.e.H, z.e.N});
    bonus(exec, bonus_inputs<T>{.r = z.x_heads(0), .k = z.x_heads(1), .v = z.x_heads(2), .r_k = r_k}, z.y_heads(0));
  });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
