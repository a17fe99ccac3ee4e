// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/activation.hpp"
#include "rwkv7/backend/cpu/gemm_columns.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/pieces.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void low_rank_kernel(tag<Arch>, Exec& exec, const low_rank_inputs<T>& in, const low_rank_outputs<T>& out) {
  using A = registers_for<Arch, T>;
  const index_t rows = in.x.extent(0) * in.x.extent(1);
  const index_t rank = in.weight.in.extent(1), D = in.weight.out.extent(1);
  const auto product = [&](const view<const T, 3>& x, const weights<2>& matrix, const weights<1>& bias, activation act,
                           const view<T, 3>& y) {
    const index_t K = x.extent(2), width = y.extent(2);
    matrix.visit([&](const auto& m) {
      // Rows are split when there are many, channels when there is one token.
      const index_t row_work = K * width + 1;
      const auto some = [&](index_t row, index_t row_end, index_t first, index_t last) noexcept {
        in_pieces<A>(y, row, row_end, first, last, 2 * lanes<A>,
                     [&](index_t begin, index_t end, index_t from, index_t to, const auto& values) noexcept {
                       gemm_columns<A>(x, m, bias, begin, end, from, to, values);
                       activate_rows<A>(act, values, begin, end, from, to);
                     });
      };
      if (rows > 1)
        for_ranges(exec, rows, (index_t{1} << 20) / row_work + 1, 1,
                   [&](index_t begin, index_t end) noexcept { some(begin, end, 0, width); });
      else
        for_ranges(exec, width, (index_t{1} << 20) / (K + 1) + 1, 2 * lanes<A>,
                   [&](index_t begin, index_t end) noexcept { some(0, rows, begin, end); });
    });
  };
  product(in.x, in.weight.in, {}, in.inner, slice(out.hidden, 2, 0, rank));
  product(out.hidden, in.weight.out, in.weight.bias, in.outer, slice(out.y, 2, 0, D));
}

}  // namespace rwkv7::backend::cpu
