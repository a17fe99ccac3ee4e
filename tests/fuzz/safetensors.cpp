// SPDX-License-Identifier: MIT
// Any bytes as a .safetensors file.
#include "rwkv7/model/safetensors.hpp"

#include "support/use_tensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rwkv7::tensor_file file{.name = "fuzz", .format = "safetensors"};
  if (!rwkv7::detail::read_safetensors(file, std::as_bytes(std::span(data, size))))
    rwkv7_test::use_tensors(file.tensors);
  return 0;
}
