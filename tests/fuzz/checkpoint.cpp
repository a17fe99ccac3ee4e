// SPDX-License-Identifier: MIT
// Any bytes as a checkpoint of whatever format; a model that comes of it is written in every format. Linux: the file is
// in memory, and what is written goes nowhere.
#include "rwkv7/model/checkpoint.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "rwkv7/model/checkpoint_writer.hpp"
#include "support/use_tensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int memory = memfd_create("checkpoint", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(memory);
  if (ftruncate(memory, 0) != 0 || pwrite(memory, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  try {
    const auto file = rwkv7::open_checkpoint(path);
    rwkv7_test::use_tensors(file.tensors);
    using enum rwkv7::checkpoint_format;
    if (!rwkv7::validate_checkpoint(file))
      for (const auto format : {safetensors, pth, gguf})
        rwkv7::write_checkpoint("/dev/null", file, format, {{"tokenizer.ggml.model", "none"}}, [](std::size_t) {});
  } catch (const rwkv7::error&) {
  }
  return 0;
}
