// SPDX-License-Identifier: MIT
/// What the command line says beside Google Benchmark's own options.
#pragma once

#include <string>
#include <vector>

namespace rwkv7_bench {

struct options {
  std::string cpu;         // the kernels, where they are not to be the best
  std::string peer_llama;  // the folder with llama.cpp's libraries
  std::string model;       // a checkpoint that language_model opens
  std::string model_gguf;  // the same weights for llama.cpp
};

/// Rows that need options: called by main once they are read.
inline std::vector<void (*)(const options&)>& rows_from_options() {
  static std::vector<void (*)(const options&)> all;
  return all;
}

}  // namespace rwkv7_bench
