// SPDX-License-Identifier: MIT
#include "rwkv7/ops/wkv7.hpp"

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/exec/threads.hpp"
#include "support/harness.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

/// The recurrence as one writes it: five loops, the decay factor given.
void scalar_wkv7(index_t B, index_t T, index_t H, index_t N, const float* r, const float* w, const float* k,
                 const float* v, const float* a, const float* b, float* y, float* S) {
  for (index_t n = 0; n < B; ++n)
    for (index_t t = 0; t < T; ++t)
      for (index_t h = 0; h < H; ++h) {
        const index_t x = ((n * T + t) * H + h) * N;
        float* head = S + (n * H + h) * N * N;
        for (index_t i = 0; i < N; ++i) {
          float* row = head + i * N;
          float u = 0, sum = 0;
          for (index_t j = 0; j < N; ++j) u += row[j] * a[x + j];
          for (index_t j = 0; j < N; ++j) {
            row[j] = row[j] * w[x + j] + u * b[x + j] + v[x + i] * k[x + j];
            sum += row[j] * r[x + j];
          }
          y[x + i] = sum;
        }
      }
}

struct problem {
  index_t B, T, H, N;
  std::vector<float> r, w, k, v, a, b, y, S, y_scalar, S_scalar;
  std::vector<double> y_exact;

  problem(index_t B_, index_t T_, index_t H_, index_t N_) : B(B_), T(T_), H(H_), N(N_) {
    const index_t n = B * T * H * N;
    r = noise(n), k = noise(n), v = noise(n), y.resize(r.size()), y_scalar = y;
    w = noise(n, 0.2f, 0.79f);
    a = noise(n, std::sqrt(3.0f / static_cast<float>(N)));
    b = a;
    for (auto& x : b) x *= -0.5f;
    S.assign(static_cast<std::size_t>(B * H * N * N), 0.0f), S_scalar = S;
  }
  template <class T_>
  auto tensor(std::vector<T_>& x) {
    return view<T_, 4>(x.data(), {B, T, H, N});
  }
  template <class Exec>
  void run(Exec& exec) {
    wkv7(exec, dense{B, T},
         wkv7_inputs<float>{.r = tensor(r),
                            .w = decay<float>::factor(tensor(w)),
                            .k = tensor(k),
                            .v = tensor(v),
                            .a = tensor(a),
                            .b = tensor(b)},
         tensor(y), state<float>::in_place({S.data(), {B, H, N, N}}));
  }
  void run_scalar() {
    scalar_wkv7(B, T, H, N, r.data(), w.data(), k.data(), v.data(), a.data(), b.data(), y_scalar.data(),
                S_scalar.data());
  }
  /// From a zero state, so that the number of runs before does not matter.
  double error(const std::function<void()>& f, std::vector<float>& out, std::vector<float>& carried) {
    const auto wide = [](const std::vector<float>& x) { return std::vector<double>(x.begin(), x.end()); };
    if (y_exact.empty()) {
      auto R = wide(r), W = wide(w), K = wide(k), V = wide(v), A = wide(a), B2 = wide(b);
      y_exact.resize(r.size());
      wkv7(reference_executor{}, dense{B, T},
           wkv7_inputs<double>{.r = tensor(R),
                               .w = decay<double>::factor(tensor(W)),
                               .k = tensor(K),
                               .v = tensor(V),
                               .a = tensor(A),
                               .b = tensor(B2)},
           tensor(y_exact));
    }
    std::fill(carried.begin(), carried.end(), 0.0f);
    f();
    return max_err(out, y_exact);
  }
};

template <class Exec>
void add_shape(index_t B, index_t T, index_t H, index_t N, std::shared_ptr<Exec> exec) {
  const auto p = std::make_shared<problem>(B, T, H, N);
  const auto ours = [p, exec] { p->run(*exec); };
  const auto scalar = [p] { p->run_scalar(); };
  const double heads = static_cast<double>(B * T * H), n = static_cast<double>(N);
  // Five multiply-adds for each element of the state; six operands in, one out, the state read and written once a call.
  add({.name = "wkv7/forward/cpu/f32/B:" + std::to_string(B) + "/T:" + std::to_string(T) + "/H:" + std::to_string(H) +
               "/N:" + std::to_string(N) + "/threads:" + std::to_string(exec->concurrency()),
       .tokens = static_cast<double>(B * T),
       .flops = heads * 10 * n * n,
       .bytes = heads * 28 * n + static_cast<double>(B * H) * 8 * n * n,
       .run = ours,
       .error = [p, ours] { return p->error(ours, p->y, p->S); },
       .rivals = {{"scalar", scalar, [p, scalar] { return p->error(scalar, p->y_scalar, p->S_scalar); }}}});
}

const int registered = [] {
  const auto one = std::make_shared<inline_executor>();
  const auto two = std::make_shared<thread_executor>(2);
  for (const index_t T : {1, 16, 128, 1024}) {
    add_shape(1, T, 12, 64, one);
    add_shape(1, T, 32, 64, one);
    add_shape(1, T, 32, 64, two);
    add_shape(1, T, 16, 128, one);
  }
  add_shape(8, 1, 32, 64, one);
  add_shape(8, 128, 32, 64, one);
  add_shape(8, 128, 32, 64, two);
  add_shape(1, 128, 16, 96, one);
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
