// SPDX-License-Identifier: MIT
// Any bytes as a GGUF file.
#include "rwkv7/model/gguf.hpp"

#include "support/use_tensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rwkv7::tensor_file file{.name = "fuzz", .format = "gguf"};
  if (!rwkv7::detail::read_gguf(file, std::as_bytes(std::span(data, size)))) rwkv7_test::use_tensors(file.tensors);
  return 0;
}
