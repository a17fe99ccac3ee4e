// SPDX-License-Identifier: MIT
// Eigen matrices in and out. Rows are tokens, columns are channels; the storage must be row-major, so that the channels
// of a token are neighbours. A column-major matrix is refused when compiling.
#include <Eigen/Dense>
#include <cstdio>
#include <cstdlib>
#include <rwkv7/adapt/eigen.hpp>
#include <rwkv7/timemix.hpp>

using namespace rwkv7;
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
  const index_t T = 32, H = 2, N = 16;
  std::srand(1);
  const matrix r = matrix::Random(T, H * N), v = matrix::Random(T, H * N), eta = matrix::Constant(T, H * N, 0.7f);
  const matrix w = matrix::Random(T, H * N).array() * 0.1f + 0.9f;
  matrix k = matrix::Random(T, H * N);
  for (index_t t = 0; t < T; ++t)
    for (index_t h = 0; h < H; ++h) k.row(t).segment(h * N, N).normalize();
  const matrix a = -k, b = k.cwiseProduct(eta);

  // The library: every matrix as [B, T, H, N], with B = 1.
  matrix y(T, H * N);
  const auto heads = [&](auto& m) { return as_view(m, {1, T, H, N}); };
  wkv7(inline_executor{}, dense{1, T},
       wkv7_inputs<float>{.r = heads(r),
                          .w = decay<float>::factor(heads(w)),
                          .k = heads(k),
                          .v = heads(v),
                          .a = heads(a),
                          .b = heads(b)},
       heads(y));

  // The same in Eigen.
  matrix want(T, H * N);
  for (index_t h = 0; h < H; ++h) {
    matrix S = matrix::Zero(N, N);
    for (index_t t = 0; t < T; ++t) {
      const auto head = [&](const matrix& m) { return m.row(t).segment(h * N, N); };
      S = (S * head(w).asDiagonal() + S * head(a).transpose() * head(b) + head(v).transpose() * head(k)).eval();
      want.row(t).segment(h * N, N) = S * head(r).transpose();
    }
  }
  const float difference = (y - want).norm() / want.norm();
  std::printf("wkv7 and Eigen differ by %.1e of their length\n", static_cast<double>(difference));
  return difference < 1e-6f ? 0 : 1;
}
