// SPDX-License-Identifier: MIT
// Keys and values lie as a cache has them, [H_kv, S, N]. The rival is the formula in Eigen: for each head a product, a
// softmax of each row, a product.
#include "rwkv7/ops/gqa_attention.hpp"

#include <Eigen/Core>

#include "rwkv7/exec/reference.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct shape {
  index_t T, S, H, H_kv, N;
  std::string name() const {
    return "/T:" + std::to_string(T) + "/S:" + std::to_string(S) + "/H:" + std::to_string(H) +
           "/H_kv:" + std::to_string(H_kv) + "/N:" + std::to_string(N);
  }
  double scale() const { return 1 / std::sqrt(static_cast<double>(N)); }
  /// Keys that the queries see, all together.
  double pairs() const { return static_cast<double>(T) * (static_cast<double>(S) - static_cast<double>(T - 1) / 2); }
};

struct problem {
  shape s;
  buffer<float> q, k, v, y, y_rival;
  buffer<double> y_exact;

  explicit problem(const shape& s_) : s(s_) {
    q = noise(s.T * s.H * s.N), k = noise(s.S * s.H_kv * s.N), v = noise(s.S * s.H_kv * s.N);
    y.resize(q.size()), y_rival.resize(q.size());
  }
  template <class Exec, class X>
  void run(Exec& exec, const buffer<X>& q_, const buffer<X>& k_, const buffer<X>& v_, buffer<X>& y_) {
    const auto keys = [&](const buffer<X>& x) {
      return view<const X, 4>(x.data(), {1, s.S, s.H_kv, s.N}, {s.S * s.H_kv * s.N, s.N, s.S * s.N, 1});
    };
    gqa_attention(
        exec, dense{1, s.T}, dense{1, s.S},
        gqa_attention_inputs<X>{
            .q = view<const X, 4>(q_.data(), {1, s.T, s.H, s.N}), .k = keys(k_), .v = keys(v_), .scale = s.scale()},
        view<X, 4>(y_.data(), {1, s.T, s.H, s.N}));
  }
  void run_eigen() {
    const Eigen::OuterStride<> token(s.H * s.N);
    for (index_t h = 0; h < s.H; ++h) {
      const index_t first = h / (s.H / s.H_kv) * s.S * s.N;
      const Eigen::Map<const matrix, 0, Eigen::OuterStride<>> queries(q.data() + h * s.N, s.T, s.N, token);
      const Eigen::Map<const matrix> keys(k.data() + first, s.S, s.N), values(v.data() + first, s.S, s.N);
      matrix weight = queries * keys.transpose() * static_cast<float>(s.scale());
      for (index_t t = 0; t < s.T; ++t) {
        auto seen = weight.row(t).head(s.S - s.T + t + 1);
        seen = (seen.array() - seen.maxCoeff()).exp();
        seen /= seen.sum();
        weight.row(t).tail(s.T - t - 1).setZero();
      }
      Eigen::Map<matrix, 0, Eigen::OuterStride<>>(y_rival.data() + h * s.N, s.T, s.N, token).noalias() =
          weight * values;
    }
  }
  double error(const std::function<void()>& f, const buffer<float>& got) {
    if (y_exact.empty()) {
      const auto wide = [](const buffer<float>& x) { return buffer<double>(x.begin(), x.end()); };
      y_exact.resize(y.size());
      reference_executor reference;
      run(reference, wide(q), wide(k), wide(v), y_exact);
    }
    f();
    return max_err(got, y_exact);
  }
};

template <class Exec>
void add_shape(const shape& s, std::shared_ptr<Exec> exec) {
  add("gqa_attention/forward/cpu/f32" + s.name() + "/threads:" + std::to_string(exec->concurrency()), [s, exec] {
    const auto p = std::make_shared<problem>(s);
    const auto ours = [p, exec] { p->run(*exec, p->q, p->k, p->v, p->y); };
    const double kv = 2 * static_cast<double>(s.S * s.H_kv * s.N) * sizeof(float);
    subject row{.tokens = static_cast<double>(s.T),
                .flops = 4 * s.pairs() * static_cast<double>(s.H * s.N),
                .bytes = kv + 2 * static_cast<double>(s.T * s.H * s.N) * sizeof(float),
                .run = ours,
                .error = [p, ours] { return p->error(ours, p->y); }};
    if (exec->concurrency() == 1) {
      const auto eigen = [p] { p->run_eigen(); };
      row.rivals.push_back({"eigen", eigen, [p, eigen] { return p->error(eigen, p->y_rival); }});
    }
    return row;
  });
}

const int registered = [] {
  for (const shape& s : {shape{1, 512, 32, 8, 128}, shape{1, 16384, 64, 8, 96}, shape{128, 128, 32, 8, 128},
                         shape{128, 2048, 8, 2, 64}}) {
    add_shape(s, one_thread());
    add_shape(s, two_threads());
  }
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
