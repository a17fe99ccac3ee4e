// SPDX-License-Identifier: MIT
#include "rwkv7/ops/rope_table.hpp"

#include "support/operands.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

// Cosines and sines of one head size fill the first N channels of each token's output.
const int registered = [] {
  add_operation(
      "rope_table", {.inputs = 0, .outputs = 1, .parameters = 0, .flops_per_channel = 1}, [](auto& exec, auto& z) {
        using T = typename std::remove_reference_t<decltype(z)>::element;
        static const std::int64_t position[] = {1'000'000};
        const index_t half = z.e.N / 2;
        double frequency[64];
        const view<double, 1> frequencies(frequency, {half});
        rope_frequencies(1e6, frequencies);
        rope_table(
            exec, dense{z.e.B, z.e.T},
            rope_table_inputs<T>{.position = view<const std::int64_t, 1>(position, {1}), .frequency = frequencies},
            {.cos = slice(z.y(0), 2, 0, half), .sin = slice(z.y(0), 2, half, half)});
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
