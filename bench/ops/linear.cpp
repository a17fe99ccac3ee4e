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

/// Where the weights come from, and how ours lie; the peer has [out, in] and reads all of them.
struct placement {
  bool cold = false;       // from memory each time, as those of a model do
  bool by_inputs = false;  // stored by inputs, of which half are zero, as behind a squared ReLU
};

template <class W>
struct problem {
  index_t T, in, out;
  placement place;
  buffer<float> x, weight, y, y_rival;
  buffer<W> stored;
  buffer<double> y_exact;
  std::vector<buffer<W>> copies;  // of the weights; each call takes the next one
  std::size_t turn = 0;

  problem(index_t T_, index_t in_, index_t out_, placement p) : T(T_), in(in_), out(out_), place(p) {
    x = noise(T * in), weight = noise(in * out, std::sqrt(3.0f / static_cast<float>(in)));
    for (const float w : weight) stored.push_back(narrow<W>(w));
    y.resize(static_cast<std::size_t>(T * out)), y_rival = y;
    buffer<W> ours = stored;
    if (place.by_inputs) {
      for (float& value : x) value = value > 0 ? value * value : 0;
      for (std::size_t i = 0; i < ours.size(); ++i)
        ours[i % static_cast<std::size_t>(in) * static_cast<std::size_t>(out) + i / static_cast<std::size_t>(in)] =
            stored[i];
    }
    // Beyond every cache: 256 MiB at least, and two matrices.
    const std::size_t bytes = stored.size() * sizeof(W);
    copies.assign(place.cold ? std::max<std::size_t>(2, ((std::size_t{256} << 20) + bytes - 1) / bytes) : 1, ours);
  }
  template <class Exec>
  void run(Exec& exec) {
    const W* const w = copies[turn++ % copies.size()].data();
    linear(exec,
           linear_inputs<float>{
               .x = view<float, 3>(x.data(), {1, T, in}),
               .weight = place.by_inputs ? view<const W, 2>(w, {out, in}, {1, out}) : view<const W, 2>(w, {out, in})},
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
  struct operations {
    std::vector<std::unique_ptr<llama_operation>> of;  // one for each copy, all with their own threads
    std::size_t turn = 0;
    llama_operation& next() { return *of[turn++ % of.size()]; }
  };
  const auto ops = std::make_shared<operations>();
  for (std::size_t i = 0; i < p->copies.size(); ++i) {
    auto op = std::make_unique<llama_operation>(threads);
    const auto weight = op->input(type, p->in, p->out), x = op->input(ggml_type::f32, p->in, p->T);
    op->finish(llama()->ggml.ggml_mul_mat(op->context(), weight, x));
    op->set(weight, p->stored), op->set(x, p->x);
    ops->of.push_back(std::move(op));
  }
  const auto read = [p, ops] {
    auto& op = ops->next();
    op.run();
    op.get(p->y_rival);
  };
  const auto rest = [ops] {
    for (const auto& op : ops->of) op->rest();
  };
  return {"llama.cpp", [ops] { ops->next().run(); }, [p, read] { return p->error(read, p->y_rival); }, rest};
}

template <class W, class Exec>
void add_shape(index_t T, index_t in, index_t out, std::shared_ptr<Exec> exec, placement place = {}) {
  const auto threads = static_cast<int>(exec->concurrency());
  const std::string name = std::string("linear/forward/cpu/") + name_of(dtype_of<W>) + "/T:" + std::to_string(T) +
                           "/in:" + std::to_string(in) + "/out:" + std::to_string(out) +
                           "/threads:" + std::to_string(threads) + (place.cold ? "/cold" : "") +
                           (place.by_inputs ? "/by_inputs" : "");
  add(name, [T, in, out, exec, threads, place] {
    const auto p = std::make_shared<problem<W>>(T, in, out, place);
    const auto ours = [p, exec] { p->run(*exec); };
    subject s{.tokens = static_cast<double>(T),
              .flops = 2.0 * static_cast<double>(T * in * out),
              .bytes = static_cast<double>(in * out) * sizeof(W) + 4.0 * static_cast<double>(T * (in + out)),
              .run = ours,
              .error = [p, ours] { return p->error(ours, p->y); }};
    if (std::is_same_v<W, float> && threads == 1 && !place.cold) {
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

/// Weights that come from memory each time, with one thread: those of a model do.
void add_cold(index_t in, index_t out, bool by_inputs = false) {
  const auto& exec = one_thread();
  const placement place{.cold = true, .by_inputs = by_inputs};
  add_shape<float>(1, in, out, exec, place);
  add_shape<bf16>(1, in, out, exec, place);
  add_shape<f16>(1, in, out, exec, place);
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
  for (const index_t T : {1, 128}) add_shapes<float>(T, 64, 256);  // the published model of 834 k parameters
  for (const index_t C : {768, 2048}) add_cold(C, C);
  add_cold(2560, 10240);
  for (const index_t C : {768, 2048}) add_cold(4 * C, C, true);
  for (const index_t T : {4, 16, 128}) add_shape<float>(T, 3072, 768, one_thread(), {.by_inputs = true});
  add_cold(768, 65536);
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
