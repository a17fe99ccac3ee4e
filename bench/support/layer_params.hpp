// SPDX-License-Identifier: MIT
/// A layer of the published 0.1B shape (C 768, heads of 64, F 3072, ranks 64 64 32 128) with random weights.
#pragma once

#include <deque>

#include "rwkv7/block/layer.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"

namespace rwkv7_bench {

struct layer_params {
  rwkv7::dims d{.C = 768, .H = 12, .N = 64};
  rwkv7::layer_weights p;

  layer_params() {
    const index_t C = d.C, F = 4 * C;
    p.ln1_weight = vector(C, 0.1f, 1), p.ln1_bias = vector(C, 0.1f, 0);
    p.ln2_weight = vector(C, 0.1f, 1), p.ln2_bias = vector(C, 0.1f, 0);
    auto& a = p.att;
    for (auto* x : {&a.x_r, &a.x_w, &a.x_k, &a.x_v, &a.x_a, &a.x_g}) *x = vector(C, 0.5f, 0.5f);
    for (auto* m : {&a.receptance, &a.key, &a.value, &a.output}) *m = matrix(C, C, C);
    a.w = {matrix(C, 64, C), matrix(64, C, 64), vector(C, 4, -3)};
    a.a = {matrix(C, 64, C), matrix(64, C, 64), vector(C, 0.5f, 0)};
    a.v = {matrix(C, 32, C), matrix(32, C, 32), vector(C, 0.5f, 0)};
    a.g = {matrix(C, 128, C), matrix(128, C, 128), {}};
    a.k_k = vector(C, 0.3f, 0.8f), a.k_a = vector(C, 0.3f, 1);
    a.r_k = matrix(d.H, d.N, 30);
    a.ln_x_weight = vector(C, 0.3f, 1), a.ln_x_bias = vector(C, 0.1f, 0);
    p.ffn = {vector(C, 0.5f, 0.5f), matrix(F, C, C), matrix(C, F, F)};
  }
  layer_params(const layer_params&) = delete;

 private:
  std::deque<buffer<float>> memory_;

  rwkv7::weights<1> vector(index_t n, float scale, float offset) {
    memory_.push_back(noise(n, scale, offset));
    return rwkv7::weights<1>(memory_.back().data(), rwkv7::dtype::f32, {n});
  }
  rwkv7::weights<2> matrix(index_t rows, index_t columns, index_t fan_in) {
    memory_.push_back(noise(rows * columns, std::sqrt(3.0f / static_cast<float>(fan_in))));
    return rwkv7::weights<2>(memory_.back().data(), rwkv7::dtype::f32, {rows, columns});
  }
};

/// Rows for a block of that layer. `call(exec, params, x, y, memory)` runs it from a zero state; `multiply_adds` per
/// token.
template <class Call>
void add_block(const std::string& name, double multiply_adds, std::size_t (*scratch)(const layer_params&, index_t),
               Call call) {
  const auto add_shape = [&]<class Exec>(index_t T, std::shared_ptr<Exec> exec) {
    const std::string row =
        name + "/forward/cpu/f32/B:1/T:" + std::to_string(T) + "/C:768/threads:" + std::to_string(exec->concurrency());
    add(row, [multiply_adds, scratch, call, T, exec] {
      struct buffers {
        layer_params params;
        buffer<float> x, first, y, y_plain;
        std::vector<std::byte> memory;
      };
      const auto z = std::make_shared<buffers>();
      z->x = z->first = noise(T * z->params.d.C);
      z->y = z->y_plain = z->x;
      z->memory.resize(2 * scratch(z->params, T));  // in double for the truth
      const auto run_in = [z, T, call]<class T_>(auto& e, buffer<T_>& x, buffer<T_>& first, buffer<T_>& y) {
        const auto tensor = [&](buffer<T_>& v) { return rwkv7::view<T_, 3>(v.data(), {1, T, z->params.d.C}); };
        call(e, z->params, tensor(x), tensor(first), tensor(y), rwkv7::workspace(z->memory));
      };
      const auto run = [z, exec, run_in] { run_in(*exec, z->x, z->first, z->y); };
      const auto run_plain = [z, run_in] {
        rwkv7::reference_executor reference;
        run_in(reference, z->x, z->first, z->y_plain);
      };
      const auto error = [z, run_in](const std::function<void()>& f, buffer<float>& y) {
        buffer<double> x(z->x.begin(), z->x.end()), first(z->first.begin(), z->first.end()),
            truth(z->x.begin(), z->x.end());
        rwkv7::reference_executor reference;
        run_in(reference, x, first, truth);
        y = z->x;
        f();
        return max_err(y, truth);
      };
      return subject{
          .tokens = static_cast<double>(T),
          .flops = 2 * multiply_adds * static_cast<double>(T),
          .bytes = 4 * multiply_adds,  // every weight once; the state and the activations are small beside them
          .run = run,
          .error = [z, run, error] { return error(run, z->y); },
          .rivals = {{"reference", run_plain, [z, run_plain, error] { return error(run_plain, z->y_plain); }}}};
    });
  };
  const auto& one = one_thread();
  const auto& two = two_threads();
  add_shape(1, one);
  add_shape(1, two);
  add_shape(32, one);
  add_shape(32, two);
}

}  // namespace rwkv7_bench
