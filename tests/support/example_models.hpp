// SPDX-License-Identifier: MIT
/// Checkpoints for the example programs.
#pragma once

#include "support/golden_model.hpp"

namespace rwkv7_test {

/// A file with the parameters of the golden model n16, whose vocabulary has 61 tokens.
inline std::string small_checkpoint() { return safetensors_bytes(golden_model("n16").checkpoint()); }

/// The same with V tokens.
inline std::string checkpoint_of_tokens(std::int64_t V) {
  auto tensors = golden_model("n16").checkpoint();
  for (auto& tensor : tensors)
    if (tensor.name == "emb.weight" || tensor.name == "head.weight") {
      tensor.shape[0] = V;
      tensor.bytes = bytes_of(pattern("bytes/" + tensor.name, V * tensor.shape[1], 0, 1));
    }
  return safetensors_bytes(tensors);
}

/// The same with a token for every byte.
inline std::string byte_checkpoint() { return checkpoint_of_tokens(256); }

}  // namespace rwkv7_test
