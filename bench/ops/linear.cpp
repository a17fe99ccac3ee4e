// SPDX-License-Identifier: MIT
#include "rwkv7/ops/linear.hpp"

#include <Eigen/Core>

#include "peers/llama.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;
using matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

template <class W>
W narrow(float x) {
  if constexpr (std::is_same_v<W, float>)
    return x;
  else
    return W::from_float(x);
}

template <class W>
struct problem {
  index_t T, in, out;
  buffer<float> x, weight, y, y_rival;
  buffer<W> stored;
  buffer<double> y_exact;

  problem(index_t T_, index_t in_, index_t out_) : T(T_), in(in_), out(out_) {
    x = noise(T * in), weight = noise(in * out, std::sqrt(3.0f / static_cast<float>(in)));
    for (const float w : weight) stored.push_back(narrow<W>(w));
    y.resize(static_cast<std::size_t>(T * out)), y_rival = y;
  }
  template <class Exec>
  void run(Exec& exec) {
    linear(
        exec,
        linear_inputs<float>{.x = view<float, 3>(x.data(), {1, T, in}), .weight = view<W, 2>(stored.data(), {out, in})},
        {y.data(), {1, T, out}});
  }
  void run_scalar() {
    for (index_t t = 0; t < T; ++t)
      for (index_t o = 0; o < out; ++o) {
        float sum = 0;
        for (index_t i = 0; i < in; ++i)
          sum += weight[static_cast<std::size_t>(o * in + i)] * x[static_cast<std::size_t>(t * in + i)];
        y_rival[static_cast<std::size_t>(t * out + o)] = sum;
      }
  }
  void run_eigen() {
    matrix(y_rival.data(), T, out).noalias() = matrix(x.data(), T, in) * matrix(weight.data(), out, in).transpose();
  }
  double error(const std::function<void()>& f, const buffer<float>& got) {
    if (y_exact.empty()) {
      buffer<double> wide(x.begin(), x.end());
      y_exact.resize(y.size());
      linear(reference_executor{},
             linear_inputs<double>{.x = view<double, 3>(wide.data(), {1, T, in}),
                                   .weight = view<W, 2>(stored.data(), {out, in})},
             {y_exact.data(), {1, T, out}});
    }
    f();
    return max_err(got, y_exact);
  }
};

/// The same weights in the same type. It rounds x to the type of the weights before it multiplies.
template <class W>
rival llama_linear(const std::shared_ptr<problem<W>>& p, int threads) {
  constexpr ggml_type type = std::is_same_v<W, f16>    ? ggml_type::f16
                             : std::is_same_v<W, bf16> ? ggml_type::bf16
                                                       : ggml_type::f32;
  const auto op = std::make_shared<llama_operation>(threads);
  const auto weight = op->input(type, p->in, p->out), x = op->input(ggml_type::f32, p->in, p->T);
  op->finish(llama()->ggml.ggml_mul_mat(op->context(), weight, x));
  op->set(weight, p->stored), op->set(x, p->x);
  const auto read = [p, op] {
    op->run();
    op->get(p->y_rival);
  };
  return {"llama.cpp", [op] { op->run(); }, [p, read] { return p->error(read, p->y_rival); }, [op] { op->rest(); }};
}

template <class W, class Exec>
void add_shape(index_t T, index_t in, index_t out, std::shared_ptr<Exec> exec) {
  const auto threads = static_cast<int>(exec->concurrency());
  const std::string name = std::string("linear/forward/cpu/") + name_of(dtype_of<W>) + "/T:" + std::to_string(T) +
                           "/in:" + std::to_string(in) + "/out:" + std::to_string(out) +
                           "/threads:" + std::to_string(threads);
  add(name, [T, in, out, exec, threads] {
    const auto p = std::make_shared<problem<W>>(T, in, out);
    const auto ours = [p, exec] { p->run(*exec); };
    subject s{.tokens = static_cast<double>(T),
              .flops = 2.0 * static_cast<double>(T * in * out),
              .bytes = static_cast<double>(in * out) * sizeof(W) + 4.0 * static_cast<double>(T * (in + out)),
              .run = ours,
              .error = [p, ours] { return p->error(ours, p->y); }};
    if (std::is_same_v<W, float> && threads == 1) {
      const auto scalar = [p] { p->run_scalar(); };
      const auto eigen = [p] { p->run_eigen(); };
      if (in * out <= 768 * 3072)  // larger ones would take minutes
        s.rivals.push_back({"scalar", scalar, [p, scalar] { return p->error(scalar, p->y_rival); }});
      s.rivals.push_back({"eigen", eigen, [p, eigen] { return p->error(eigen, p->y_rival); }});
    }
    if (llama()) s.rivals.push_back(llama_linear(p, threads));
    return s;
  });
}

template <class W>
void add_shapes(index_t T, index_t in, index_t out) {
  const auto& one = one_thread();
  const auto& two = two_threads();
  add_shape<W>(T, in, out, one);
  add_shape<W>(T, in, out, two);
}

const int registered = [] {
  const auto add_types = [](index_t T, index_t in, index_t out) {
    add_shapes<float>(T, in, out);
    add_shapes<bf16>(T, in, out);
    add_shapes<f16>(T, in, out);
  };
  for (const index_t T : {1, 128})
    for (const index_t C : {768, 2048}) {  // the published 0.1B and 1.5B
      add_types(T, C, C);
      add_types(T, C, 4 * C);
      add_types(T, 4 * C, C);
    }
  add_types(1, 768, 65536);
  add_types(1, 2048, 65536);
  for (const index_t C : {768, 2048}) add_shapes<float>(16, C, C);
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
