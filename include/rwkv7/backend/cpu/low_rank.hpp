// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/activation.hpp"
#include "rwkv7/backend/cpu/gemm_columns.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec>
void low_rank_kernel(tag<Arch>, Exec& exec, const low_rank_inputs<float>& in, const low_rank_outputs<float>& out) {
  const index_t T = in.x.extent(1), rows = in.x.extent(0) * T;
  const index_t rank = in.weight.in.extent(1), D = in.weight.out.extent(1);
  const auto product = [&](const view<const float, 3>& x, const weights<2>& matrix, const weights<1>& bias,
                           activation act, const view<float, 3>& y) {
    const index_t K = x.extent(2), width = y.extent(2);
    matrix.visit([&](const auto& m) {
      // Rows are split when there are many, channels when there is one token.
      const index_t row_work = K * width + 1;
      if (rows > 1)
        for_ranges(exec, rows, (index_t{1} << 20) / row_work + 1, 1, [&](index_t begin, index_t end) noexcept {
          gemm_columns<Arch>(x, m, bias, begin, end, 0, width, y);
          activate_rows<Arch>(act, y, begin, end, 0, width);
        });
      else
        for_ranges(exec, width, (index_t{1} << 20) / (K + 1) + 1, 2 * lanes<Arch>,
                   [&](index_t begin, index_t end) noexcept {
                     gemm_columns<Arch>(x, m, bias, 0, rows, begin, end, y);
                     activate_rows<Arch>(act, y, 0, rows, begin, end);
                   });
    });
  };
  product(in.x, in.weight.in, {}, in.inner, slice(out.hidden, 2, 0, rank));
  product(out.hidden, in.weight.out, in.weight.bias, in.outer, slice(out.y, 2, 0, D));
}

}  // namespace rwkv7::backend::cpu
