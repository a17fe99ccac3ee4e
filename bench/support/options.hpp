// SPDX-License-Identifier: MIT
/// What the command line says beside Google Benchmark's own options.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rwkv7/core/dtype.hpp"

namespace rwkv7_bench {

struct model_shape {
  rwkv7::index_t C, layers, V;
};

struct options {
  std::string cpu;                                       // the kernels, where they are not to be the best
  std::string peer_llama;                                // the folder with llama.cpp's libraries
  std::string model;                                     // a checkpoint that language_model opens
  std::optional<model_shape> shape;                      // or one that is made up
  std::vector<std::optional<rwkv7::dtype>> model_types;  // in which it is run; none, or an empty one: as it is
};

/// Rows that need options: called by main once they are read.
inline std::vector<void (*)(const options&)>& rows_from_options() {
  static std::vector<void (*)(const options&)> all;
  return all;
}

}  // namespace rwkv7_bench
