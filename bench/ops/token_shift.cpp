// SPDX-License-Identifier: MIT
#include "rwkv7/ops/token_shift.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation(
      "token_shift", {.inputs = 1, .outputs = 6, .parameters = 6, .flops_per_channel = 18}, [](auto& exec, auto& z) {
        using T = typename std::remove_reference_t<decltype(z)>::element;
        token_shift(exec, dense{z.e.B, z.e.T},
                    token_shift_inputs<T, 6>{
                        .x = z.x(0), .mix = {z.param(0), z.param(1), z.param(2), z.param(3), z.param(4), z.param(5)}},
                    {.y = {z.y(0), z.y(1), z.y(2), z.y(3), z.y(4), z.y(5)}});
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
