// SPDX-License-Identifier: MIT
#include "rwkv7/ops/linear.hpp"

#include <Eigen/Core>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/exec/threads.hpp"
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
  std::vector<float> x, weight, y, y_rival;
  std::vector<W> stored;
  std::vector<double> y_exact;

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
  double error(const std::function<void()>& f, const std::vector<float>& got) {
    if (y_exact.empty()) {
      std::vector<double> wide(x.begin(), x.end());
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

template <class W, class Exec>
void add_shape(index_t T, index_t in, index_t out, std::shared_ptr<Exec> exec) {
  const auto p = std::make_shared<problem<W>>(T, in, out);
  const auto ours = [p, exec] { p->run(*exec); };
  subject s{.name = std::string("linear/forward/cpu/") + name_of(dtype_of<W>) + "/T:" + std::to_string(T) +
                    "/in:" + std::to_string(in) + "/out:" + std::to_string(out) +
                    "/threads:" + std::to_string(exec->concurrency()),
            .tokens = static_cast<double>(T),
            .flops = 2.0 * static_cast<double>(T * in * out),
            .bytes = static_cast<double>(in * out) * sizeof(W) + 4.0 * static_cast<double>(T * (in + out)),
            .run = ours,
            .error = [p, ours] { return p->error(ours, p->y); }};
  if (std::is_same_v<W, float> && exec->concurrency() == 1) {
    const auto scalar = [p] { p->run_scalar(); }, eigen = [p] { p->run_eigen(); };
    s.rivals.push_back({"scalar", scalar, [p, scalar] { return p->error(scalar, p->y_rival); }});
    s.rivals.push_back({"eigen", eigen, [p, eigen] { return p->error(eigen, p->y_rival); }});
  }
  add(std::move(s));
}

const int registered = [] {
  const auto one = std::make_shared<inline_executor>();
  const auto two = std::make_shared<thread_executor>(2);
  for (const index_t T : {1, 16, 128}) {
    add_shape<float>(T, 768, 768, one);
    add_shape<float>(T, 768, 3072, one);
    add_shape<float>(T, 2048, 2048, one);
    add_shape<float>(T, 2048, 2048, two);
    add_shape<bf16>(T, 2048, 2048, one);
    add_shape<f16>(T, 2048, 2048, one);
  }
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
