// SPDX-License-Identifier: MIT
#include "rwkv7/ops/wkv7.hpp"

#include "peers/llama.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/executors.hpp"
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
  buffer<float> r, w, k, v, a, b, y, S, y_rival, S_rival;
  buffer<double> y_exact, S_exact;

  problem(index_t B_, index_t T_, index_t H_, index_t N_) : B(B_), T(T_), H(H_), N(N_) {
    const index_t n = B * T * H * N;
    r = noise(n), k = noise(n), v = noise(n), y.resize(r.size()), y_rival = y;
    w = noise(n, 0.2f, 0.79f);
    a = noise(n, std::sqrt(3.0f / static_cast<float>(N)));
    b = a;
    for (auto& x : b) x *= -0.5f;
    S.assign(static_cast<std::size_t>(B * H * N * N), 0.0f), S_rival = S;
  }
  template <class T_>
  auto tensor(buffer<T_>& x) {
    return view<T_, 4>(x.data(), {B, T, H, N});
  }
  template <class T_>
  auto in_place(buffer<T_>& x) {
    return state<T_>::in_place({x.data(), {B, H, N, N}});
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
         tensor(y), in_place(S));
  }
  void run_scalar() {
    scalar_wkv7(B, T, H, N, r.data(), w.data(), k.data(), v.data(), a.data(), b.data(), y_rival.data(), S_rival.data());
  }
  /// Of outputs and final state, from a zero state, so that the number of runs before does not matter.
  double error(const std::function<void()>& f, buffer<float>& out, buffer<float>& carried) {
    const auto wide = [](const buffer<float>& x) { return buffer<double>(x.begin(), x.end()); };
    if (y_exact.empty()) {
      auto R = wide(r), W = wide(w), K = wide(k), V = wide(v), A = wide(a), B2 = wide(b);
      y_exact.resize(r.size()), S_exact.resize(S.size());
      wkv7(reference_executor{}, dense{B, T},
           wkv7_inputs<double>{.r = tensor(R),
                               .w = decay<double>::factor(tensor(W)),
                               .k = tensor(K),
                               .v = tensor(V),
                               .a = tensor(A),
                               .b = tensor(B2)},
           tensor(y_exact), in_place(S_exact));
    }
    std::fill(carried.begin(), carried.end(), 0.0f);
    f();
    return std::max(max_err(out, y_exact), max_err(carried, S_exact));
  }
};

/// The same tensors in the same order. It reads the state and writes the new one beside the outputs; llama.cpp's copy
/// back into the state is not counted against it.
rival llama_wkv7(const std::shared_ptr<problem>& p, int threads) {
  const auto op = std::make_shared<llama_operation>(threads);
  const auto token_input = [&] { return op->input(ggml_type::f32, p->N, p->H, p->B * p->T); };
  const auto r = token_input(), w = token_input(), k = token_input(), v = token_input(), a = token_input(),
             b = token_input(), S = op->input(ggml_type::f32, p->N * p->N * p->H, p->B);
  op->finish(llama()->ggml.ggml_rwkv_wkv7(op->context(), r, w, k, v, a, b, S));
  op->set(r, p->r), op->set(w, p->w), op->set(k, p->k), op->set(v, p->v), op->set(a, p->a), op->set(b, p->b);
  op->set(S, buffer<float>(p->S.size()));
  const auto read = [p, op] {
    op->run();
    op->get(p->y_rival), op->get(p->S_rival, p->y_rival.size());
  };
  return {"llama.cpp", [op] { op->run(); }, [p, read] { return p->error(read, p->y_rival, p->S_rival); },
          [op] { op->rest(); }};
}

template <class Exec>
void add_shape(index_t B, index_t T, index_t H, index_t N, std::shared_ptr<Exec> exec) {
  const auto threads = static_cast<int>(exec->concurrency());
  const std::string name = "wkv7/forward/cpu/f32/B:" + std::to_string(B) + "/T:" + std::to_string(T) +
                           "/H:" + std::to_string(H) + "/N:" + std::to_string(N) +
                           "/threads:" + std::to_string(threads);
  add(name, [B, T, H, N, exec, threads] {
    const auto p = std::make_shared<problem>(B, T, H, N);
    const auto ours = [p, exec] { p->run(*exec); };
    const double heads = static_cast<double>(B * T * H), n = static_cast<double>(N);
    // Five multiply-adds for each element of the state; six operands in, one out, the state read and written once a
    // call.
    subject s{.tokens = static_cast<double>(B * T),
              .flops = heads * 10 * n * n,
              .bytes = heads * 28 * n + static_cast<double>(B * H) * 8 * n * n,
              .run = ours,
              .error = [p, ours] { return p->error(ours, p->y, p->S); }};
    if (threads == 1) {
      const auto scalar = [p] { p->run_scalar(); };
      s.rivals.push_back({"scalar", scalar, [p, scalar] { return p->error(scalar, p->y_rival, p->S_rival); }});
    }
    // Its AVX-512 kernel goes by 64 elements and over the end of a head of another size.
    if (llama() && N % 64 == 0) s.rivals.push_back(llama_wkv7(p, threads));
    return s;
  });
}

const int registered = [] {
  const auto& one = one_thread();
  const auto& two = two_threads();
  for (const index_t T : {1, 16, 128, 1024}) {
    add_shape(1, T, 12, 64, one);
    add_shape(1, T, 12, 64, two);
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
