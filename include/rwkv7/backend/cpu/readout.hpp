// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/bonus.hpp"
#include "rwkv7/backend/cpu/normalise.hpp"
#include "rwkv7/operands/readout.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void readout_kernel(tag<Arch>, Exec& exec, const readout_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  using V = vec<A>;
  const index_t H = y.extent(2), N = y.extent(3);
  const V scale(static_cast<scalar<A>>(in.scale)), offset(static_cast<scalar<A>>(in.gate_offset));
  const bool norm(in.weight), bonus(in.r_k), gate(in.g);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(10 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const T* const x = in.x.at(b, t, h, 0);
      const T* const v = bonus ? in.v.at(b, t, h / (H / in.v.extent(2)), 0) : x;
      const T* const g = gate ? in.g.at(b, t, h, 0) : x;
      T* const to = y.at(b, t, h, 0);
      const param weight = param(in.weight).from(h * N), bias = param(in.bias).from(h * N);
      const auto standardised = norm ? standard_of<A>(x, N, in.eps) : standard<A>{V(0.0f), V(1.0f)};
      const V s =
          bonus ? bonus_of<A>(in.r.at(b, t, h, 0), in.k.at(b, t, h / (H / in.k.extent(2)), 0), param(in.r_k, h), N)
                : V(0.0f);
      for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
        V value = at.load(x);
        value = norm ? cpu::fma<A>(standardised(value), weight.load(at), bias.load(at)) : value * scale;
        if (bonus) value = cpu::fma<A>(s, at.load(v), value);
        if (gate) value = value * (at.load(g) + offset);
        at.store(to, value);
      });
    }
  });
}

}  // namespace rwkv7::backend::cpu
