// SPDX-License-Identifier: MIT
// Parameters in 16 bits.
#include <doctest/doctest.h>

#include "rwkv7/exec/reference.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::x070;

TEST_CASE_TEMPLATE("parameters in 16 bits give the bits of the same values in 32", Narrow, rwkv7::bf16, rwkv7::f16) {
  const golden_model golden("h4n64");
  std::vector<file_tensor> narrow, wide;
  for (const auto& tensor : golden.checkpoint()) {
    narrow.push_back(rounded<Narrow>(tensor, true));
    wide.push_back(rounded<Narrow>(tensor, false));
  }
  const temporary_file narrow_file(safetensors_bytes(narrow)), wide_file(safetensors_bytes(wide));
  const auto check_type = [&](auto& exec, auto zero) {
    using T = decltype(zero);
    const auto stored = language_model<x070, T>::open(narrow_file.path());
    const auto widened = language_model<x070, T>::open(wide_file.path());
    const index_t B = golden.size("B"), length = golden.size("T");
    state_pool<T> first(stored, B), second(widened, B);
    const auto got = forward(stored, exec, dense{B, length}, golden.tokens(), first.in_place());
    const auto want = forward(widened, exec, dense{B, length}, golden.tokens(), second.in_place());
    CHECK(same_bits(got.logits, want.logits));
    CHECK(same_bits(got.last, want.last));
    CHECK(same_bits(first.values, second.values));
  };
  rwkv7::reference_executor reference;
  check_type(reference, 0.0);
  for_each_arch([&](auto& exec) { check_type(exec, 0.0f); });
}
