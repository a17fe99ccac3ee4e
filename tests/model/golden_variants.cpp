// SPDX-License-Identifier: MIT
// rwkv7-test: not sanitized
// Models with one feature of the variant switched off, against NumPy in float64.
#include <doctest/doctest.h>

#include "rwkv7/exec/inline.hpp"
#include "support/golden_run.hpp"

using rwkv7::variant;
using rwkv7::x070;
using rwkv7_test::golden_model;

namespace {

/// x070 with one field changed.
template <class T>
constexpr variant with(T variant::*field, T value) {
  variant v = x070;
  v.*field = value;
  return v;
}

template <variant V>
void check_variant(const std::string& name) {
  rwkv7_test::check_golden_model<V>(name, [](auto run) { run(rwkv7::inline_executor{}); });
}

}  // namespace

TEST_CASE("without token shift") { check_variant<with(&variant::token_shift, false)>("n16_no_token_shift"); }

TEST_CASE("without value residual") {
  check_variant<with(&variant::value_residual, rwkv7::first_mix::none)>("n16_no_value_residual");
}

TEST_CASE("without readout norm") {
  check_variant<with(&variant::norm, rwkv7::readout_norm::none)>("n16_no_group_norm");
}

TEST_CASE("without bonus") { check_variant<with(&variant::bonus, false)>("n16_no_bonus"); }

TEST_CASE("without gate") { check_variant<with(&variant::gate, rwkv7::gate_form::none)>("n16_no_gate"); }

TEST_CASE("a variant opens a file that holds more than it uses") {
  const golden_model golden("n16_no_bonus");
  const rwkv7_test::temporary_file file(rwkv7_test::safetensors_bytes(golden_model("n16").checkpoint()));
  const auto model = rwkv7::language_model<with(&variant::bonus, false), double>::open(file.path());
  rwkv7::reference_executor reference;
  const auto distance = [](const auto& got, const auto& want) { return rwkv7_test::max_abs(got, want); };
  CHECK(distance_from_golden(golden, model, reference, distance) <= rwkv7_test::budget::definition_of_model);
}
