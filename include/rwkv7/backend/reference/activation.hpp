// SPDX-License-Identifier: MIT
/// The scalar functions of the definition, in double.
#pragma once

#include <cmath>

#include "rwkv7/core/decay.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7::backend::reference {

inline double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

inline double activate(activation kind, double x) {
  switch (kind) {
    case activation::tanh:
      return std::tanh(x);
    case activation::sigmoid:
      return sigmoid(x);
    case activation::identity:
      break;
  }
  return x;
}

/// The factor that multiplies the state, from any form of the decay.
inline double decay_factor(decay_form form, decay_offset offset, double x) {
  switch (form) {
    case decay_form::log:
      return std::exp(x);
    case decay_form::loglog:
      return std::exp(-std::exp(x));
    case decay_form::logit:
      return std::exp(-decay_scale(offset) * sigmoid(x));
    case decay_form::factor:
      break;
  }
  return x;
}

}  // namespace rwkv7::backend::reference
