// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/core/kv_cache.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/gqa_attention.hpp"

namespace rwkv7::backend::reference {

// Positions count a sequence's keys from 0; those before `held` lie in the ring, the others among the operands.

template <class T>
void attend(const sequence& queries, const sequence& keys, index_t held, const gqa_attention_inputs<T>& in,
            const view<T, 4>& y, const kv_cache<T>& cache) {
  const index_t H = y.extent(2), N = y.extent(3), length = held + keys.length;
  for (index_t q = 0; q < queries.length * H; ++q) {
    const index_t t = queries.first + q / H, h = q % H, g = h / (H / in.k.extent(2));
    const index_t end = length - queries.length + q / H + 1;
    const index_t begin = in.window > 0 && in.window < end ? end - in.window : 0;
    const auto element = [&](const view<const T, 4>& given, const view<T, 4>& ring, index_t p, index_t n) {
      return double(p < held ? ring(keys.slot, g, p % ring.extent(2), n)
                             : given(keys.batch, keys.first + p - held, g, n));
    };
    const auto score = [&](index_t p) {
      double sum = 0;
      for (index_t n = 0; n < N; ++n) sum += double(in.q(queries.batch, t, h, n)) * element(in.k, cache.k, p, n);
      return sum * in.scale;
    };
    double largest = -std::numeric_limits<double>::infinity(), sum = 0, values[max_head_size] = {};
    for (index_t p = begin; p < end; ++p) largest = std::fmax(largest, score(p));
    for (index_t p = begin; p < end; ++p) {
      const double weight = std::exp(score(p) - largest);
      sum += weight;
      for (index_t n = 0; n < N; ++n) values[n] += weight * element(in.v, cache.v, p, n);
    }
    for (index_t n = 0; n < N; ++n) y(queries.batch, t, h, n) = rounded<T>(values[n] / sum);
  }
}

template <class Exec, class T>
void gqa_attention_kernel(tag, Exec&, const sequences& seq, const sequences& keys, const gqa_attention_inputs<T>& in,
                          const view<T, 4>& y) {
  for (index_t i = 0; i < seq.count(); ++i) attend(seq[i], keys[i], 0, in, y, {});
}

template <class Exec, class T>
void gqa_attention_kernel(tag, Exec&, const sequences& seq, const gqa_attention_inputs<T>& given, const view<T, 4>& y,
                          const kv_cache<T>& cache) {
  auto in = given;
  if (in.window == 0) in.window = cache.k.extent(2);
  for (index_t i = 0; i < seq.count(); ++i) {
    const auto [b, first, length, slot] = seq[i];
    const index_t held = cache.position(slot), capacity = cache.k.extent(2);
    attend(seq[i], seq[i], held, in, y, cache);
    for (index_t t = length > capacity ? length - capacity : 0; t < length; ++t)
      for (index_t g = 0; g < in.k.extent(2); ++g)
        for (index_t n = 0; n < y.extent(3); ++n) {
          cache.k(slot, g, (held + t) % capacity, n) = in.k(b, first + t, g, n);
          cache.v(slot, g, (held + t) % capacity, n) = in.v(b, first + t, g, n);
        }
  }
}

}  // namespace rwkv7::backend::reference
