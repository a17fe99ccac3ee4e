// SPDX-License-Identifier: MIT
// Whole models against NumPy in float64: heads of 16, 64, 96 and 128, several of them, grouped or not.
#include <doctest/doctest.h>

#include "support/executors.hpp"
#include "support/golden_run.hpp"

using rwkv7_test::for_each_arch;

namespace {
void check_x070(const std::string& name) {
  rwkv7_test::check_golden_model<rwkv7::x070>(name, [](auto run) { for_each_arch(run); });
}
}  // namespace

TEST_CASE("four heads of 64, three layers") { check_x070("h4n64"); }

TEST_CASE("heads of 96, and parameters in block 0 that nothing may read") { check_x070("n96"); }

TEST_CASE("heads of 128") { check_x070("n128"); }

TEST_CASE("three heads of 16 and sizes that no vector divides") { check_x070("n16"); }

TEST_CASE("heads together wider than the model, keys and values in groups") { check_x070("n16_d_ne_c"); }
