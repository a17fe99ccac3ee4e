// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/activation.hpp"
#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/core/state.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/wkv7.hpp"

namespace rwkv7::backend::reference {

// Rows of the state never meet, so a row at a time is the whole definition, and one row of doubles the whole scratch.

template <class Exec, class T, class E>
void wkv7_kernel(tag, Exec&, const sequences& seq, const wkv7_inputs<T>& in, const view<T, 4>& y, const state<E>& s) {
  const index_t H = y.extent(2), N = y.extent(3);
  for (index_t q = 0; q < seq.count() * H; ++q)
    for (index_t i = 0; i < N; ++i) {
      const auto [n, first, length, slot] = seq[q / H];
      const index_t h = q % H, h_k = h / (H / in.k.extent(2)), h_v = h / (H / in.v.extent(2));
      double S[max_head_size];
      for (index_t j = 0; j < N; ++j) S[j] = s.initial ? double(s.initial(slot, h, i, j)) : 0;
      for (index_t t = first; t < first + length; ++t) {
        double u = 0, sum = 0;
        for (index_t j = 0; j < N; ++j) u += S[j] * double(in.a(n, t, h, j));
        for (index_t j = 0; j < N; ++j) {
          const double w = decay_factor(in.w.form(), in.w.offset(), double(in.w.values()(n, t, h, j)));
          S[j] = S[j] * w + u * double(in.b(n, t, h, j)) + double(in.v(n, t, h_v, i)) * double(in.k(n, t, h_k, j));
          sum += S[j] * double(in.r(n, t, h, j));
          if (s.every) s.every.ring(slot, s.every.place(t - first), h, i, j) = rounded<E>(S[j]);
        }
        y(n, t, h, i) = rounded<T>(sum);
      }
      if (s.final)
        for (index_t j = 0; j < N; ++j) s.final(slot, h, i, j) = rounded<E>(S[j]);
    }
}

template <class Exec, class T, read_policy Policy, class E>
void wkv_kernel(tag, Exec&, const sequences& seq, const wkv_inputs<T, Policy>& in, const view<T, 4>& y,
                const state<E>& s) {
  const index_t H = y.extent(2), N = y.extent(3);
  for (index_t q = 0; q < seq.count() * H; ++q)
    for (index_t i = 0; i < N; ++i) {
      const auto [n, first, length, slot] = seq[q / H];
      const index_t h = q % H, h_k = h / (H / in.k.extent(2)), h_v = h / (H / in.v.extent(2));
      double S[max_head_size];
      for (index_t j = 0; j < N; ++j) S[j] = s.initial ? double(s.initial(slot, h, i, j)) : 0;
      for (index_t t = first; t < first + length; ++t) {
        const double v = double(in.v(n, t, h_v, i));
        double sum = 0;
        for (index_t j = 0; j < N; ++j) {
          const double r = double(in.r(n, t, h, j)), k = double(in.k(n, t, h_k, j)), before = S[j];
          S[j] = before * decay_factor(in.w.form(), in.w.offset(), double(in.w.values()(n, t, h, j))) + v * k;
          if constexpr (Policy == read_policy::after) sum += S[j] * r;
          if constexpr (Policy == read_policy::before) sum += before * r;
          if constexpr (Policy == read_policy::before_bonus) sum += before * r + v * double(in.u(h, j)) * k * r;
          if (s.every) s.every.ring(slot, s.every.place(t - first), h, i, j) = rounded<E>(S[j]);
        }
        y(n, t, h, i) = rounded<T>(sum);
      }
      if (s.final)
        for (index_t j = 0; j < N; ++j) s.final(slot, h, i, j) = rounded<E>(S[j]);
    }
}

}  // namespace rwkv7::backend::reference
