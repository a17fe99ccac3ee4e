// SPDX-License-Identifier: MIT
#include "rwkv7/ops/wkv7.hpp"

#include "peers/llama.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/resident_state.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"
#include "support/update.hpp"

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

/// `layers` states that one set of operands goes round, as a model goes round its own.
struct problem {
  index_t B, T, H, N, layers, H_kv = H;
  buffer<float> r, w, k, v, a, b, y, S, y_rival, S_rival;
  buffer<double> y_exact, S_exact;

  problem(index_t B_, index_t T_, index_t H_, index_t N_, index_t layers_ = 1)
      : B(B_), T(T_), H(H_), N(N_), layers(layers_) {
    const index_t n = B * T * H * N;
    r = noise(n), k = noise(n), v = noise(n), y.resize(r.size()), y_rival = y;
    w = noise(n, 0.2f, 0.79f);
    a = noise(n, std::sqrt(3.0f / static_cast<float>(N)));
    b = a;
    for (auto& x : b) x *= -0.5f;
    S.assign(static_cast<std::size_t>(layers * state_size()), 0.0f), S_rival = S;
  }
  index_t state_size() const { return B * H * N * N; }
  template <class T_>
  auto tensor(buffer<T_>& x) {
    return view<T_, 4>(x.data(), {B, T, H, N});
  }
  /// Keys or values, which groups of heads may share.
  template <class T_>
  auto shared(buffer<T_>& x) {
    return view<T_, 4>(x.data(), {B, T, H_kv, N});
  }
  template <class T_>
  auto in_place(buffer<T_>& x, index_t layer = 0) {
    return state<T_>::in_place({x.data() + layer * state_size(), {B, H, N, N}});
  }
  wkv7_inputs<float> inputs() {
    return {.r = tensor(r),
            .w = decay<float>::factor(tensor(w)),
            .k = shared(k),
            .v = shared(v),
            .a = tensor(a),
            .b = tensor(b)};
  }
  template <class Exec>
  void run(Exec& exec) {
    for (index_t layer = 0; layer < layers; ++layer) wkv7(exec, dense{B, T}, inputs(), tensor(y), in_place(S, layer));
  }
  void run_scalar() {
    for (index_t layer = 0; layer < layers; ++layer)
      scalar_wkv7(B, T, H, N, r.data(), w.data(), k.data(), v.data(), a.data(), b.data(), y_rival.data(),
                  S_rival.data() + layer * state_size());
  }
  /// Of outputs and the first layer's final state, from a zero state, so that the number of runs before does not
  /// matter.
  double error(const std::function<void()>& f, buffer<float>& out, buffer<float>& carried) {
    const auto wide = [](const buffer<float>& x) { return buffer<double>(x.begin(), x.end()); };
    if (y_exact.empty()) {
      auto R = wide(r), W = wide(w), K = wide(k), V = wide(v), A = wide(a), B2 = wide(b);
      y_exact.resize(r.size()), S_exact.resize(static_cast<std::size_t>(state_size()));
      wkv7(reference_executor{}, dense{B, T},
           wkv7_inputs<double>{.r = tensor(R),
                               .w = decay<double>::factor(tensor(W)),
                               .k = shared(K),
                               .v = shared(V),
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
  const auto op = std::make_shared<llama_operation>(threads, static_cast<std::size_t>(16 + 2 * p->layers));
  const auto token_input = [&] { return op->input(ggml_type::f32, p->N, p->H, p->B * p->T); };
  const auto r = token_input(), w = token_input(), k = token_input(), v = token_input(), a = token_input(),
             b = token_input();
  std::vector<ggml_tensor*> states, results;
  for (index_t layer = 0; layer < p->layers; ++layer) {
    states.push_back(op->input(ggml_type::f32, p->N * p->N * p->H, p->B));
    results.push_back(llama()->ggml.ggml_rwkv_wkv7(op->context(), r, w, k, v, a, b, states.back()));
  }
  op->finish(results);
  op->set(r, p->r), op->set(w, p->w), op->set(k, p->k), op->set(v, p->v), op->set(a, p->a), op->set(b, p->b);
  for (ggml_tensor* const S : states) op->set(S, buffer<float>(static_cast<std::size_t>(p->state_size())));
  const auto read = [p, op] {
    op->run();
    buffer<float> S(static_cast<std::size_t>(p->state_size()));
    op->get(p->y_rival), op->get(S, p->y_rival.size());
    std::copy(S.begin(), S.end(), p->S_rival.begin());
  };
  return {"llama.cpp", [op] { op->run(); }, [p, read] { return p->error(read, p->y_rival, p->S_rival); },
          [op] { op->rest(); }};
}

/// What the machine takes to read and write as many bytes as the states have, and does nothing else: `x_update` is the
/// part of that bandwidth which we reach.
rival update_rival(const std::shared_ptr<problem>& p, int threads) {
  const auto team = std::make_shared<spin_executor>(threads);
  const index_t part = p->layers * p->state_size() / threads;
  return {
      "update",
      [p, team, threads, part] { team->bulk(threads, [&](index_t i) { update(p->S_rival.data() + i * part, part); }); },
      [] { return 0.0; }, [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }};
}

/// Columns of a row whose call is `ours`, which leaves its outputs in p->y and p->S.
subject measure(const std::shared_ptr<problem>& p, int threads, double flops_per_element,
                const std::function<void()>& ours, const std::function<double()>& error) {
  const double heads = static_cast<double>(p->layers * p->B * p->T * p->H), n = static_cast<double>(p->N);
  // Six operands in, one out, the state read and written once a call.
  subject s{.tokens = static_cast<double>(p->B * p->T),
            .flops = heads * flops_per_element * n * n,
            .bytes = heads * 28 * n + static_cast<double>(p->layers * p->state_size()) * 8,
            .run = ours,
            .error = error};
  if (threads == 1) {
    const auto scalar = [p] { p->run_scalar(); };
    s.rivals.push_back({"scalar", scalar, [p, scalar] { return p->error(scalar, p->y_rival, p->S_rival); }});
  }
  if (p->layers > 1) s.rivals.push_back(update_rival(p, threads));
  // Its AVX-512 kernel goes by 64 elements and over the end of a head of another size.
  if (llama() && p->N % 64 == 0) s.rivals.push_back(llama_wkv7(p, threads));
  return s;
}

std::string name_of(const char* kind, index_t B, index_t T, index_t H, index_t N, index_t layers, int threads) {
  return std::string("wkv7/") + kind + "/cpu/f32/B:" + std::to_string(B) + "/T:" + std::to_string(T) +
         "/H:" + std::to_string(H) + "/N:" + std::to_string(N) +
         (layers > 1 ? "/layers:" + std::to_string(layers) : "") + "/threads:" + std::to_string(threads);
}

template <class Exec>
void add_shape(index_t B, index_t T, index_t H, index_t N, std::shared_ptr<Exec> exec, index_t layers = 1) {
  const auto threads = static_cast<int>(exec->concurrency());
  add(name_of("forward", B, T, H, N, layers, threads), [=] {
    const auto p = std::make_shared<problem>(B, T, H, N, layers);
    const auto ours = [p, exec] { p->run(*exec); };
    // Five multiply-adds for each element of the state.
    return measure(p, threads, 10, ours, [p, ours] { return p->error(ours, p->y, p->S); });
  });
}

/// Groups of eight heads that share keys and values, against heads that have their own.
template <class Exec>
void add_grouped(index_t T, index_t H, index_t N, std::shared_ptr<Exec> exec) {
  add(name_of("grouped", 1, T, H, N, 1, static_cast<int>(exec->concurrency())), [=] {
    const auto p = std::make_shared<problem>(1, T, H, N), each = std::make_shared<problem>(1, T, H, N);
    p->H_kv = H / 8;
    const auto ours = [p, exec] { p->run(*exec); };
    const auto ungrouped = [each, exec] { each->run(*exec); };
    const double n = static_cast<double>(N), heads = static_cast<double>(T * H);
    return subject{
        .tokens = static_cast<double>(T),
        .flops = heads * 10 * n * n,
        .bytes = heads * 21 * n + static_cast<double>(p->state_size()) * 8,
        .run = ours,
        .error = [p, ours] { return p->error(ours, p->y, p->S); },
        .rivals = {{"ungrouped", ungrouped, [each, ungrouped] { return each->error(ungrouped, each->y, each->S); }}}};
  });
}

/// The decode step on resident states. What is asked for only at the end, the export, is not timed.
template <class Exec>
void add_resident(index_t B, index_t H, index_t N, std::shared_ptr<Exec> exec, index_t layers = 1) {
  const auto threads = static_cast<int>(exec->concurrency());
  add(name_of("resident", B, 1, H, N, layers, threads), [=] {
    const auto p = std::make_shared<problem>(B, 1, H, N, layers);
    struct resident_layers {
      std::vector<cache_line> memory;
      std::vector<resident_state<float>> states;
    };
    const auto all = std::make_shared<resident_layers>();
    const auto lines = resident_state_size<float>(*exec, {B, H, N});
    all->memory.resize(lines * static_cast<std::size_t>(layers));
    for (auto left = std::span(all->memory); !left.empty(); left = left.subspan(lines))
      all->states.push_back(make_resident_state<float>(*exec, {B, H, N}, left.first(lines)));
    const auto ours = [=] {
      for (const auto& S : all->states) wkv7(*exec, dense{p->B, 1}, p->inputs(), p->tensor(p->y), S);
    };
    const auto from_zeros = [=] {
      for (const auto& S : all->states) import_state(*exec, {}, S);
      ours();
      export_state(*exec, all->states.front(), p->in_place(p->S).final);
    };
    // Four multiply-adds for each element of the state.
    return measure(p, threads, 8, ours, [=] { return p->error(from_zeros, p->y, p->S); });
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
  for (const index_t T : {1, 128}) {
    add_grouped(T, 32, 64, one);
    add_grouped(T, 64, 96, one);
  }
  for (const index_t H : {12, 32}) {
    add_resident(1, H, 64, one);
    add_resident(1, H, 64, two);
    add_resident(8, H, 64, one);
    add_resident(8, H, 64, two);
  }
  add_resident(1, 16, 128, one);
  for (const index_t B : {1, 8}) {  // in the third-level cache of the machine of the README, and beyond
    add_shape(B, 1, 32, 64, one, 24);
    add_shape(B, 1, 32, 64, two, 24);
    add_resident(B, 32, 64, one, 24);
    add_resident(B, 32, 64, two, 24);
  }
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
