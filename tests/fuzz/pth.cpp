// SPDX-License-Identifier: MIT
// Any bytes as a .pth file, and as the data.pkl of one.
#include "rwkv7/model/pth.hpp"

#include "support/use_tensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  rwkv7::tensor_file file{.name = "fuzz", .format = "pth"};
  if (!rwkv7::detail::read_pth(file, bytes)) rwkv7_test::use_tensors(file.tensors);

  rwkv7::detail::pickle_machine machine(bytes);
  for (const auto& [name, tensor] : machine.run()) {
    rwkv7::stored_tensor stored;
    const auto storage = bytes.first(std::min(bytes.size(), static_cast<std::size_t>(tensor.elements & 0xff) * 8));
    if (rwkv7::detail::bind_storage(tensor, storage, stored).empty()) rwkv7_test::use_tensors({stored});
  }
  return 0;
}
