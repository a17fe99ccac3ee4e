// SPDX-License-Identifier: MIT
// Likewise under other extents.
// expect: rwkv7: a temporary Eigen matrix would be gone before the view is used
#include "rwkv7/adapt/eigen.hpp"

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

auto call(matrix& m) {
#ifdef RWKV7_COMPILE_FAIL_CONTROL
  return rwkv7::as_view(m, {2, 3, 4});
#else
  return rwkv7::as_view(matrix(m * 2.0f), {2, 3, 4});
#endif
}
