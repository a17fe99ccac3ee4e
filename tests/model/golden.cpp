// SPDX-License-Identifier: MIT
// Whole models against NumPy in float64: heads of 16, 64, 96 and 128, several of them, grouped or not; and parameters
// in 16 bits.
#include <doctest/doctest.h>

#include "support/executors.hpp"
#include "support/golden_run.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::x070;

namespace {
void check_x070(const std::string& name) {
  check_golden_model<x070>(name, [](auto run) { for_each_arch(run); });
}
}  // namespace

TEST_CASE("four heads of 64, three layers") { check_x070("h4n64"); }

TEST_CASE("heads of 96, and parameters in block 0 that nothing may read") { check_x070("n96"); }

TEST_CASE("heads of 128") { check_x070("n128"); }

TEST_CASE("three heads of 16 and sizes that no vector divides") { check_x070("n16"); }

TEST_CASE("heads together wider than the model, keys and values in groups") { check_x070("n16_d_ne_c"); }

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
