// SPDX-License-Identifier: MIT
#include "rwkv7/block/time_mix.hpp"

#include "support/layer_params.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_block(
      "time_mix", 4 * 768 * 768 + 2 * 768 * (64 + 64 + 32 + 128) + 5 * 768 * 64,
      [](const layer_params& l, index_t T) {
        return time_mix_workspace_size<float>(dense{1, T}, l.d, l.p.att);
      },
      []<class T>(auto& exec, const layer_params& l, view<T, 3> x, view<T, 3> first, view<T, 3> y, workspace memory) {
        time_mix(exec, dense{1, x.extent(1)}, l.d, l.p.att, time_mix_inputs<T>{.x = x}, y, {.v = first}, {}, memory);
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
