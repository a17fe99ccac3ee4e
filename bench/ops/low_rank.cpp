// SPDX-License-Identifier: MIT
#include "rwkv7/ops/low_rank.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  static const buffer<float> in = noise(768 * 64, 0.06f), out = noise(768 * 64, 0.2f);
  add_operation("low_rank", {.inputs = 1, .outputs = 1, .parameters = 1, .flops_per_channel = 256},
                [](auto& exec, auto& z) {
                  using T = typename std::remove_reference_t<decltype(z)>::element;
                  static buffer<T> hidden;
                  hidden.resize(static_cast<std::size_t>(z.e.B * z.e.T * 64));
                  low_rank(exec,
                           low_rank_inputs<T>{.x = z.x(0),
                                              .weight = {.in = weights<2>(in.data(), dtype::f32, {768, 64}),
                                                         .out = weights<2>(out.data(), dtype::f32, {64, 768}),
                                                         .bias = z.param(0)},
                                              .inner = activation::tanh},
                           {.hidden = {hidden.data(), {z.e.B, z.e.T, 64}}, .y = z.y(0)});
                });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
