// SPDX-License-Identifier: MIT
// Parameters in the file, and in the caller's memory.
#include <doctest/doctest.h>

#include "rwkv7/exec/reference.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/compare.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::x070;

namespace {

template <class T, class Exec>
std::vector<T> logits_of(const language_model<x070, T>& model, Exec& exec) {
  state_pool<T> state(model, 1);
  return prefill(model, exec, some_tokens("pack", 6, model.sizes().V), 6, state);
}

/// The n16 model with every second tensor in bf16. `shift` bytes before all others make the rest lie unaligned.
std::string mixed_file(std::size_t shift) {
  std::vector<file_tensor> tensors;
  for (const auto& tensor : golden_model("n16").checkpoint())
    tensors.push_back(tensors.size() % 2 == 0 ? tensor : rounded<rwkv7::bf16>(tensor, true));
  if (shift > 0)
    tensors.insert(tensors.begin(),
                   {"blocks.0.att.v0", "U8", {static_cast<std::int64_t>(shift)}, std::string(shift, 'x')});
  return safetensors_bytes(tensors);
}

}  // namespace

TEST_CASE("packed parameters give the same bits, on 64-byte boundaries, without the file") {
  const temporary_file file(mixed_file(0));
  auto model = language_model<x070, float>::open(file.path());
  rwkv7::reference_executor exec;
  const auto want = logits_of(model, exec);

  // Any start will do: an odd address here.
  std::vector<std::byte> memory(model.weights_size() + 1, std::byte{0xff});
  model.pack(std::span(memory).subspan(1));
  file.write("");
  CHECK(same_bits(logits_of(model, exec), want));

  // Once more, from memory to memory.
  std::vector<std::byte> other(model.weights_size());
  model.pack(other);
  std::fill(memory.begin(), memory.end(), std::byte{0});
  CHECK(same_bits(logits_of(model, exec), want));
}

TEST_CASE("weights_size is what the tensors take, each rounded up to 64 bytes") {
  const auto model = open_golden<x070, float>("n16");
  std::size_t want = 64;
  for (const auto& tensor : golden_model("n16").checkpoint()) want += (tensor.bytes.size() + 63) / 64 * 64;
  CHECK(model.weights_size() == want);
}

TEST_CASE("a moved model works, and the one it came from is empty") {
  auto first = open_golden<x070, float>("n16");
  rwkv7::reference_executor exec;
  const auto want = logits_of(first, exec);
  auto second = std::move(first);
  CHECK(!first);
  CHECK(second);
  CHECK(same_bits(logits_of(second, exec), want));
  first = std::move(second);
  CHECK(same_bits(logits_of(first, exec), want));
}

TEST_CASE("too little memory, or memory that holds the parameters already, is refused and changes nothing") {
  auto model = open_golden<x070, float>("n16");
  rwkv7::reference_executor exec;
  const auto want = logits_of(model, exec);
  std::vector<std::byte> memory(model.weights_size());
  const auto size = std::to_string(memory.size());
  CHECK(complaint_of([&] { model.pack(std::span(memory).first(memory.size() - 1)); }) ==
        "rwkv7::language_model::pack: memory bytes: got " + std::to_string(memory.size() - 1) + ", want " + size);
  model.pack(memory);
  CHECK(complaint_of([&] { model.pack(memory); }) == "rwkv7::language_model::pack: memory overlaps a parameter");
  CHECK(same_bits(logits_of(model, exec), want));
  language_model<x070, float> empty;
  CHECK(complaint_of([&] { empty.pack(memory); }) == "rwkv7::language_model::pack: layers: got 0, want 1 or more");
}

TEST_CASE("parameters that lie unaligned in the file wait for pack") {
  const temporary_file aligned(mixed_file(0)), shifted(mixed_file(1));
  const auto model = language_model<x070, float>::open(aligned.path());
  auto waiting = language_model<x070, float>::open(shifted.path());
  REQUIRE(waiting);
  rwkv7::reference_executor exec;
  const auto complaint = complaint_of([&] { logits_of(waiting, exec); });
  CHECK(complaint.starts_with("rwkv7::language_model: "));
  CHECK(complaint.ends_with("emb.weight: does not lie in the file as the kernels want it: call pack"));
  std::vector<std::byte> memory(waiting.weights_size());
  waiting.pack(memory);
  CHECK(same_bits(logits_of(waiting, exec), logits_of(model, exec)));
}
