// SPDX-License-Identifier: MIT
#include "rwkv7/ops/repeat_kv.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_operation("repeat_kv", {.inputs = 1, .outputs = 1, .parameters = 0, .flops_per_channel = 0},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  repeat_kv(exec, repeat_kv_inputs<T>{.x = slice(z.x_heads(0), 2, 0, z.e.H / 4)}, z.y_heads(0));
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
