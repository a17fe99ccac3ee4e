// SPDX-License-Identifier: MIT
// A column-major Eigen matrix, which is what Eigen makes by default.
// expect: rwkv7: this Eigen matrix is column-major; channels must be contiguous
#include "rwkv7/adapt/eigen.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#else
using matrix = Eigen::MatrixXf;
#endif

auto call(matrix& m) { return rwkv7::as_view(m); }
