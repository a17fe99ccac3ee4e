// SPDX-License-Identifier: MIT
#include "rwkv7/block/layer.hpp"

#include "support/layer_params.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

const int registered = [] {
  add_block(
      "layer", 4 * 768 * 768 + 2 * 768 * (64 + 64 + 32 + 128) + 5 * 768 * 64 + 2 * 768 * 3072,
      [](const layer_params& l, index_t T) {
        return layer_workspace_size<float>(dense{1, T}, l.d, l.p);
      },
      []<class T>(auto& exec, const layer_params& l, view<T, 3> x, view<T, 3> first, view<T, 3> y, workspace memory) {
        for (index_t t = 0; t < x.extent(1); ++t)  // the layer accumulates: start from x again
          for (index_t c = 0; c < l.d.C; ++c) y(0, t, c) = x(0, t, c);
        layer(exec, dense{1, x.extent(1)}, l.d, l.p, y, {.v = first}, {}, memory);
      });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
