// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/gemm.hpp"
#include "rwkv7/backend/cpu/gemm_by_inputs.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/backend/cpu/pieces.hpp"
#include "rwkv7/backend/cpu/quantised.hpp"
#include "rwkv7/operands/linear.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void linear_kernel(tag<Arch>, Exec& exec, const linear_inputs<T>& in, const view<T, 3>& y) {
  using A = registers_for<Arch, T>;
  const index_t K = in.x.extent(2), rows = in.x.extent(0) * in.x.extent(1);
  // About 60 µs of work at least for each task, whether the weights or the rows are many.
  const index_t grain = (index_t{1} << 21) / (rows * K + 1) + 1;
  if (is_quantised(in.weight.type())) {
    // Half as much: what takes 10 µs in the cache takes 30 from memory.
    const index_t quantised_grain = (index_t{1} << 20) / (rows * K + 1) + 1;
    return for_ranges(exec, y.extent(2), quantised_grain, panel_rows, [&](index_t begin, index_t end) noexcept {
      in_pieces<A>(y, 0, rows, begin, end, panel_rows,
                   [&](index_t row, index_t row_end, index_t first, index_t last, const auto& to) noexcept {
                     if (row == row_end) return;
                     quantised_products<A>(product_rows<A, T>{in.x, to, row, row_end}, in.weight, first, last);
                     add_bias<A>(in.bias, row, row_end, first, last, to);
                   });
    });
  }
  in.weight.visit([&](const auto& weight) {
    for_ranges(exec, y.extent(2), grain, 16, [&](index_t begin, index_t end) noexcept {
      in_pieces<A>(y, 0, rows, begin, end, 16,
                   [&](index_t row, index_t row_end, index_t first, index_t last, const auto& to) noexcept {
                     if (in.weight.by_inputs())
                       gemm_by_inputs<A>(in.x, weight, row, row_end, first, last, to);
                     else
                       gemm_rows<A>(in.x, weight, row, row_end, first, last, to);
                     add_bias<A>(in.bias, row, row_end, first, last, to);
                   });
    });
  });
}

}  // namespace rwkv7::backend::cpu
