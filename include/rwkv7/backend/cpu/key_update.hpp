// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/operands/key_update.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void key_update_kernel(tag<Arch>, Exec& exec, const key_update_inputs<T>& in, const key_update_outputs<T>& out) {
  using A = registers_for<Arch, T>;
  using V = vec<A>;
  const index_t H = in.eta.extent(2), N = in.eta.extent(3), group = H > 0 ? H / in.k.extent(2) : 1;
  const bool own = in.k_k.extent(0) == H * N;  // each head its k_k
  const auto eps = static_cast<scalar<A>>(in.eps);
  // 1 + c, and -e^-c, for the rules that see the decay.
  const V shift(static_cast<scalar<A>>(in.offset == decay_offset::half ? 1.5 : 1.6));
  const V rate(static_cast<scalar<A>>(-decay_scale(in.offset)));
  const param k_k(in.k_k), k_a(in.k_a);
  for_rows(exec, in.eta.extent(0), in.eta.extent(1), row_grain(6 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const T *k = in.k.at(b, t, h / group, 0), *eta = in.eta.at(b, t, h, 0);
      const param removal = k_k.from((own ? h : h / group) * N), weight = k_a.from(h * N);
      const T* const w = in.w ? in.w.at(b, t, h, 0) : nullptr;
      const auto removed = [&](const auto& at, const V& key)
                               RWKV7_INLINE_LAMBDA { return removal.data ? key * removal.load(at) : key; };
      V squares(0.0f);
      for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
        const V q = removed(at, at.load(k));
        squares = cpu::fma<A>(q, q, squares);
      });
      const auto norm = square_root(reduce_add<A>(squares));
      const V scale(1.0f / (norm > eps ? norm : eps));
      T *y_k = out.k.at(b, t, h, 0), *y_a = out.a.at(b, t, h, 0), *y_b = out.b.at(b, t, h, 0);
      // k and eta of a register are read before anything of it is written: k' may be k, b may be eta.
      const auto write = [&](auto factor) RWKV7_INLINE_LAMBDA {
        for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
          const V key = at.load(k), learning = at.load(eta);
          const V kk = removed(at, key) * scale;
          at.store(y_k, key * factor(at, learning));
          at.store(y_a, -kk);
          at.store(y_b, kk * learning);
        });
      };
      if (in.rule == key_rule::k_a)
        write([&](auto at, const V& learning)
                  RWKV7_INLINE_LAMBDA { return cpu::fma<A>(learning - V(1.0f), weight.load(at), V(1.0f)); });
      else if (in.rule == key_rule::one_minus_omega_plus_eta)
        write([&](auto at, const V& learning)
                  RWKV7_INLINE_LAMBDA { return softplus<A>(-at.load(w)) + (learning + shift); });
      else
        write([&](auto at, const V& learning)
                  RWKV7_INLINE_LAMBDA { return learning - cpu::expm1<A>(sigmoid<A>(at.load(w)) * rate); });
    }
  });
}

}  // namespace rwkv7::backend::cpu
