// SPDX-License-Identifier: MIT
/// A benchmark row for any operation on [B, T, H, N] activations: the same generic call run by a cpu executor in float,
/// by the reference executor in float (a plain scalar loop, the rival) and in double (the truth).
#pragma once

#include "rwkv7/core/weights.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"

namespace rwkv7_bench {

struct extents {
  index_t B, T, H, N;
  index_t C() const { return H * N; }
  std::string name() const {
    return "/B:" + std::to_string(B) + "/T:" + std::to_string(T) + "/H:" + std::to_string(H) +
           "/N:" + std::to_string(N);
  }
};

/// Activations in T, filled once with the same values for every T, and outputs.
template <class T>
struct operands {
  using element = T;
  extents e;
  std::vector<buffer<T>> in, out;
  std::vector<buffer<float>> params;  // [H N] each, about 1

  operands(const extents& e_, int inputs, int outputs, int parameters) : e(e_) {
    const index_t n = e.B * e.T * e.C();
    for (int i = 0; i < inputs; ++i) {
      const auto values = noise(n);
      in.emplace_back(values.begin(), values.end());
    }
    out.assign(static_cast<std::size_t>(outputs), buffer<T>(static_cast<std::size_t>(n)));
    for (int i = 0; i < parameters; ++i) params.push_back(noise(e.C(), 0.5f, 1.0f));
  }
  template <class U>
  explicit operands(const operands<U>& o) : e(o.e), params(o.params) {
    for (const auto& v : o.in) in.emplace_back(v.begin(), v.end());
    for (const auto& v : o.out) out.emplace_back(v.begin(), v.end());
  }
  rwkv7::view<T, 3> x(std::size_t i) { return {in[i].data(), {e.B, e.T, e.C()}}; }
  rwkv7::view<T, 3> y(std::size_t i) { return {out[i].data(), {e.B, e.T, e.C()}}; }
  rwkv7::view<T, 4> x_heads(std::size_t i) { return rwkv7::split_heads(x(i), e.N); }
  rwkv7::view<T, 4> y_heads(std::size_t i) { return rwkv7::split_heads(y(i), e.N); }
  rwkv7::weights<1> param(std::size_t i) const {
    return rwkv7::weights<1>(params[i].data(), rwkv7::dtype::f32, {e.C()});
  }
};

struct counts {
  int inputs, outputs, parameters;
  double flops_per_channel;
};

/// Rows for one operation; `call(exec, operands)` is generic in both.
template <class Call>
void add_operation(const std::string& name, const counts& c, Call call) {
  const auto add_shape = [&]<class Exec>(const extents& e, std::shared_ptr<Exec> exec) {
    add(name + "/forward/cpu/f32" + e.name() + "/threads:" + std::to_string(exec->concurrency()), [e, c, call, exec] {
      const auto ours = std::make_shared<operands<float>>(e, c.inputs, c.outputs, c.parameters);
      const auto plain = std::make_shared<operands<float>>(*ours);
      const auto exact = std::make_shared<operands<double>>(*ours);
      const auto run = [ours, exec, call] { call(*exec, *ours); };
      const auto run_plain = [plain, call] {
        rwkv7::reference_executor reference;
        call(reference, *plain);
      };
      // Operations that accumulate start from their outputs' first values again.
      const auto error = [exact, call](operands<float>& z, const std::function<void()>& f) {
        auto truth = *exact;
        for (std::size_t i = 0; i < z.out.size(); ++i) z.out[i].assign(truth.out[i].begin(), truth.out[i].end());
        rwkv7::reference_executor reference;
        call(reference, truth);
        f();
        double worst = 0;
        for (std::size_t i = 0; i < z.out.size(); ++i) worst = std::max(worst, max_err(z.out[i], truth.out[i]));
        return worst;
      };
      const double elements = static_cast<double>(e.B * e.T * e.C());
      return subject{
          .tokens = static_cast<double>(e.B * e.T),
          .flops = elements * c.flops_per_channel,
          .bytes = elements * 4 * (c.inputs + c.outputs) + 4.0 * static_cast<double>(e.C() * c.parameters),
          .run = run,
          .error = [ours, run, error] { return error(*ours, run); },
          .rivals = {{"reference", run_plain, [plain, run_plain, error] { return error(*plain, run_plain); }}}};
    });
  };
  const auto& one = one_thread();
  const auto& two = two_threads();
  add_shape({1, 1, 12, 64}, one);
  add_shape({1, 128, 12, 64}, one);
  add_shape({1, 128, 12, 64}, two);
}

}  // namespace rwkv7_bench
