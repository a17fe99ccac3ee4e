// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>

#include "rwkv7/model/tensor.hpp"

namespace rwkv7_test {

/// Reads every byte that the tensors say is theirs, and every element of those that are not too large. Worth most under
/// the address sanitizer. The sum is there so that nothing is left out.
inline unsigned use_tensors(const std::vector<rwkv7::stored_tensor>& tensors) {
  unsigned sum = 0;
  rwkv7::index_t left = 100'000;
  for (const auto& tensor : tensors) {
    if (tensor.shape.size() != tensor.strides.size()) std::abort();
    for (const std::byte byte : tensor.bytes.first(std::min<std::size_t>(tensor.bytes.size(), 100'000)))
      sum += std::to_integer<unsigned>(byte);
    if (tensor.size() > left) continue;
    left -= tensor.size();
    std::vector<std::byte> to(static_cast<std::size_t>(tensor.size()) * 8);
    rwkv7::unpack(tensor, to.data());
    if (rwkv7::usable_in_place(tensor) && !std::equal(tensor.bytes.begin(), tensor.bytes.end(), to.begin()))
      std::abort();
    for (const std::byte byte : to) sum += std::to_integer<unsigned>(byte);
  }
  return sum;
}

}  // namespace rwkv7_test
