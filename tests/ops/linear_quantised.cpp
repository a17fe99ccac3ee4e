// SPDX-License-Identifier: MIT
// linear with matrices in every quantised format, against the reference executor on the same bytes.
#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <string>
#include <tuple>

#include "rwkv7/ops/layer_norm.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/low_rank.hpp"
#include "support/product.hpp"
#include "support/quantised.hpp"
#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// The packed matrix of a problem, one byte past any alignment.
weights<2> weight_of(const problem& p) {
  static std::map<std::tuple<dtype, index_t, index_t>, std::vector<std::byte>> all;
  auto& bytes = all[{p.type, p.out, p.N}];
  if (bytes.empty()) {
    bytes = packed_matrix(p.type, normal("weight", p.out * p.N), p.out, p.N);
    bytes.insert(bytes.begin(), std::byte{0xff});
  }
  return {bytes.data() + 1, p.type, {p.out, p.N}};
}

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.N}, p.how), y({p.B, p.T, p.out}, p.how);
  p.fill(x, "x");
  for (const auto& at : pieces(p)) linear(exec, linear_inputs<T>{.x = at.in(x), .weight = weight_of(p)}, at.out(y));
  return collect<T>(y);
};

outputs<double> formula(const problem& p) {
  return product_of(p, pattern("x", p.B * p.T * p.N, 0, unit_scale), weight_of(p));
}

/// Outputs around a panel of 16, inputs around the 16384 of a chunk, few and many rows, all layouts.
std::vector<problem> products(dtype type) {
  std::vector<problem> all;
  for (const index_t out : {1, 2, 15, 16, 17, 31, 33, 40}) all.push_back({.T = 2, .N = 64, .out = out, .type = type});
  for (const index_t N : {64, 128, 192, 1088}) all.push_back({.N = N, .out = 19, .type = type});
  if (type != dtype::nf4)
    for (const index_t N : {32, 96, 1056}) all.push_back({.N = N, .out = 19, .type = type});
  for (const index_t T : {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 49})
    all.push_back({.B = 1, .T = T, .N = 128, .out = 21, .type = type});
  for (const layout how : layouts) all.push_back({.T = 5, .N = 64, .out = 18, .how = how, .type = type});
  all.push_back({.B = 1, .T = 1, .N = 16384 + 128, .out = 17, .type = type});
  all.push_back({.B = 1, .T = 17, .N = 2048 + 192, .out = 5, .type = type});
  all.push_back({.B = 0, .N = 64, .out = 3, .type = type});
  return all;
}

double allowed(const problem& p) { return p.type == dtype::nf4 ? budget::reduction(p.N) : budget::rounded_inputs; }

}  // namespace

TEST_CASE(
    "linear with a quantised matrix on other types: the bits of float, rounded once; in double nothing is rounded") {
  for (const dtype type : quantised_types) {
    check_half<bf16>(products(type), run);
    check_half<f16>(products(type), run);
    check_double(products(type), run);
  }
}

TEST_CASE("linear with a quantised matrix is the product with what the matrix says") {
  for (const dtype type : quantised_types) {
    check_definition(products(type), run, formula);
    check_rounded_once(products(type), run);
  }
}

TEST_CASE("a cpu is within the rounding of its inputs; a row alone gives the same bits") {
  for (const dtype type : quantised_types) check_cpu(products(type), run, by_relative_l2, allowed);
}

TEST_CASE("a product with a quantised matrix does not depend on threads, neighbours or cuts") {
  for (const dtype type : quantised_types)
    check_determinism({.B = 3, .T = 40, .N = 192, .out = 611, .type = type}, run);
}

TEST_CASE("one row of a large quantised matrix does not depend on threads") {
  for (const dtype type : quantised_types) {
    const problem p{.B = 1, .T = 1, .N = 1024, .out = 8211, .type = type};
    auto exec = one_thread();
    const auto once = run(exec, p, 0.0f);
    for_each_threading([&](auto& threads) { CHECK(same_bits(once, run(threads, p, 0.0f))); });
  }
}

TEST_CASE("an outlier among the inputs costs the precision of its block of 32, nothing else") {
  for (const dtype type : quantised_types) {
    const problem p{.N = 128, .out = 48, .type = type};
    const auto w = weight_of(p);
    std::vector<float> x = pattern("outlier", 128, 0, 1), y(48);
    x[70] = 3000;
    for_each_cpu_executor([&](auto& exec) {
      linear(exec, linear_inputs<float>{.x = view<float, 3>(x.data(), {1, 1, 128}), .weight = w},
             view<float, 3>(y.data(), {1, 1, 48}));
      for (index_t o = 0; o < 48; ++o) {
        double want = 0, block = 0, others = 0;
        for (index_t k = 0; k < 128; ++k) {
          want += w(o, k) * static_cast<double>(x[static_cast<std::size_t>(k)]);
          (k / 32 == 2 ? block : others) += std::fabs(w(o, k));
        }
        // Half a step of every input: the largest of a block / 16256.
        const double step = (block * 3000 + others) / 16256;
        CHECK(std::fabs(static_cast<double>(y[static_cast<std::size_t>(o)]) - want) <= 0.5 * step + 1e-4);
      }
    });
  }
}

TEST_CASE("an input that is not finite makes its own row not finite and no other") {
  for (const dtype type : quantised_types)
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      const problem p{.N = 64, .out = 20, .type = type};
      std::vector<float> x(9 * 64, 0.5f), y(9 * 20);
      x[3 * 64 + 40] = bad;
      for_each_cpu_executor([&](auto& exec) {
        linear(exec, linear_inputs<float>{.x = view<float, 3>(x.data(), {1, 9, 64}), .weight = weight_of(p)},
               view<float, 3>(y.data(), {1, 9, 20}));
        for (std::size_t i = 0; i < y.size(); ++i)
          CHECK((std::isfinite(y[i]) || (i / 20 == 3 && y[i] != y[i]) || (i / 20 == 3 && type == dtype::nf4)));
        for (std::size_t i = 60; i < 80; ++i) CHECK(!std::isfinite(y[i]));
      });
    }
}

TEST_CASE("zeros and inputs too small to matter give zeros") {
  for (const dtype type : {dtype::int8, dtype::int8_rows, dtype::int4}) {
    const problem p{.N = 32, .out = 16, .type = type};
    for (const float size : {0.0f, 1e-31f, 1e-45f}) {
      std::vector<float> x(32, size), y(16, 7.0f);
      for_each_cpu_executor([&](auto& exec) {
        linear(exec, linear_inputs<float>{.x = view<float, 3>(x.data(), {1, 1, 32}), .weight = weight_of(p)},
               view<float, 3>(y.data(), {1, 1, 16}));
        for (const float each : y) CHECK(each == 0);
      });
    }
  }
}

TEST_CASE("quantised matrices that do not fit, and those where none belongs, are refused in words") {
  std::vector<std::byte> bytes(quantised_size(dtype::int8, 32, 96));
  std::vector<float> x(96), y(96);
  const auto in = [&](index_t columns) { return view<const float, 3>(x.data(), {1, 1, columns}); };
  const auto refuses = [&](const char* text, const weights<2>& w, index_t columns, view<float, 3> to) {
    const linear_inputs<float> operands{.x = in(columns), .weight = w};
    check_refused(text, validate_linear(operands, to), [&](auto& exec) { linear(exec, operands, to); });
  };
  const view<float, 3> out(y.data(), {1, 1, 32});
  refuses("rwkv7::linear: weight axis in: got 48, want a multiple of 32 for int8",
          {bytes.data(), dtype::int8, {32, 48}}, 48, out);
  refuses("rwkv7::linear: weight axis in: got 96, want a multiple of 64 for nf4", {bytes.data(), dtype::nf4, {32, 96}},
          96, out);
  refuses("rwkv7::linear: weight axis in: got 64, want 96", {bytes.data(), dtype::int8, {32, 64}}, 96, out);
  refuses("rwkv7::linear: weight: not given", {nullptr, dtype::int8, {32, 96}}, 96, out);
  const view<float, 3> inside(reinterpret_cast<float*>(bytes.data() + bytes.size() - 128), {1, 1, 32});
  refuses("rwkv7::linear: y overlaps weight", {bytes.data(), dtype::int8, {32, 96}}, 96, inside);

  const weights<1> vector(bytes.data(), dtype::int8, {96});
  const layer_norm_inputs<float> norm{.x = in(96), .weight = vector, .bias = vector};
  CHECK(std::string(validate_layer_norm(norm, view<float, 3>(y.data(), {1, 1, 96})).message()) ==
        "rwkv7::layer_norm: weight: got int8, want f32, f16 or bf16");
}
