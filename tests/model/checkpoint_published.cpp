// SPDX-License-Identifier: MIT
// A published checkpoint in every format and back: the same bits, the same logits. Needs RWKV7_TEST_DATA.
#include <doctest/doctest.h>

#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/model_call.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using namespace rwkv7_test;

TEST_CASE("a published checkpoint in every format and back: the same bits, the same logits") {
  const std::string data = RWKV7_TEST_DATA_DIR;
  if (data.empty()) return skip("a published checkpoint: RWKV7_TEST_DATA is not set");
  const auto original = rwkv7::open_checkpoint(data + "/tiny-rwkv-7v0-834K-F32.safetensors");
  const temporary_folder folder;
  const auto write = [&](const std::string& name, const rwkv7::tensor_file& file, rwkv7::checkpoint_format format) {
    CHECK(!write_checkpoint(folder.file(name), file, format, {}, [](std::size_t) {}));
    return rwkv7::open_checkpoint(folder.file(name));
  };
  const auto logits = [](rwkv7::tensor_file file) {
    auto model = language_model<>::from(std::move(file));
    std::vector<std::byte> memory(model.weights_size());
    model.pack(memory);
    auto exec = one_thread();
    state_pool<float> state(model, 1);
    return prefill(model, exec, some_tokens("published", 64, 256), 64, state);
  };
  const auto want = logits(rwkv7::open_checkpoint(data + "/tiny-rwkv-7v0-834K-F32.safetensors"));
  for (const auto format : {rwkv7::checkpoint_format::safetensors, rwkv7::checkpoint_format::hf,
                            rwkv7::checkpoint_format::pth, rwkv7::checkpoint_format::gguf}) {
    auto there = write("there", original, format);
    const auto back = write("back", there, rwkv7::checkpoint_format::safetensors);
    REQUIRE(back.tensors.size() == original.tensors.size());
    for (std::size_t i = 0; i < original.tensors.size(); ++i) {
      const auto &a = back.tensors[i], &b = original.tensors[i];
      CHECK(a.name == b.name);
      CHECK(a.type == b.type);
      CHECK(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
    }
    CHECK(same_bits(logits(std::move(there)), want));
    std::filesystem::remove_all(folder.file("there"));
  }
}
