// SPDX-License-Identifier: MIT
#include "rwkv7/ops/rms_norm.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation(
      "rms_norm", {.inputs = 1, .outputs = 1, .parameters = 1, .flops_per_channel = 4}, [](auto& exec, auto& z) {
        using T = typename std::remove_reference_t<decltype(z)>::element;
        rms_norm(exec, rms_norm_inputs<T>{.x = split_heads(z.x(0), z.e.C()), .weight = z.param(0), .eps = 1e-6},
                 split_heads(z.y(0), z.e.C()));
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
