// SPDX-License-Identifier: MIT
/// NormalFloat4 with a scale for every 64 neighbours of a row: 4.25 bits per weight.
#pragma once

#include "rwkv7/quant/format.hpp"

namespace rwkv7::quant {

/// value = scale · nf4_values[code], scale in bf16.
///
/// Error: the scale is the one of least squared error among ten around the largest magnitude, with either sign, each
/// improved once. Of normal weights the relative L2 error is 0.083. A single weight is off by at most 0.35 of the
/// largest magnitude of its block.
struct nf4 {
  static constexpr dtype type = dtype::nf4;  // in weights<2>
  /// For n neighbours.
  static float scale(const float* x, index_t n) noexcept {
    scale_search<nf4> search(x, n);
    const float full = largest(x, n);
    for (int i = 0; i < 5; ++i) {
      const float part = 0.7f + 0.1f * static_cast<float>(i);
      search.consider(full * part), search.consider(-full * part);
    }
    return search.best();
  }
  /// The stored nibble: of the nearest value, the larger one of two.
  static unsigned code(float x, float scale) noexcept {
    if (scale == 0) return 7;
    const float q = x / scale;
    unsigned code = 0;
    for (unsigned i = 1; i < 16; ++i) code += q >= (nf4_values[i - 1] + nf4_values[i]) / 2 ? 1u : 0u;
    return code;
  }
};

static_assert(quant_format<nf4>);

}  // namespace rwkv7::quant
