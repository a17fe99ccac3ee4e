// SPDX-License-Identifier: MIT
#include "rwkv7/block/channel_mix.hpp"

#include "support/layer_params.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_block(
      "channel_mix", 2 * 768 * 3072,
      [](const layer_params& l, index_t T) {
        return channel_mix_workspace_size<float>(dense{1, T}, l.p.ffn);
      },
      []<class T>(auto& exec, const layer_params& l, view<T, 3> x, view<T, 3>, view<T, 3> y, workspace memory) {
        channel_mix(exec, dense{1, x.extent(1)}, l.p.ffn, channel_mix_inputs<T>{.x = x}, y, {}, memory);
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
