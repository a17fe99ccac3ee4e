// SPDX-License-Identifier: MIT
/// Readers of checkpoint formats on bytes in memory.
#pragma once

#include <memory>

#include "rwkv7/model/tensor.hpp"

namespace rwkv7_test {

/// What a reader makes of bytes that are exactly as long as the memory they are in, so that the address sanitizer sees
/// one read too many.
struct read_result {
  std::string complaint;  // after "rwkv7::<format>: x: "; empty for none
  rwkv7::tensor_file file;
  std::unique_ptr<std::byte[]> bytes;

  read_result(rwkv7::detail::read_tensors read, const char* format, std::string_view content)
      : file{.name = "x", .format = format}, bytes(new std::byte[content.size()]) {
    std::copy(content.begin(), content.end(), reinterpret_cast<char*>(bytes.get()));
    const auto problem = read(file, {bytes.get(), content.size()});
    const auto start = "rwkv7::" + std::string(format) + ": x: ";
    complaint = problem.message();
    if (complaint.starts_with(start)) complaint.erase(0, start.size());
  }
};

/// A tensor's elements, unpacked, as T.
template <class T>
std::vector<T> elements_of(const rwkv7::stored_tensor& tensor) {
  std::vector<T> values(static_cast<std::size_t>(tensor.size()));
  rwkv7::unpack(tensor, reinterpret_cast<std::byte*>(values.data()));
  return values;
}

}  // namespace rwkv7_test
