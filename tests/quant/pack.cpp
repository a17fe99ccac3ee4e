// SPDX-License-Identifier: MIT
// Packed matrices: where what lies, what is lost, what is refused.
#include "rwkv7/quant/pack.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "rwkv7/core/weights.hpp"
#include "support/budget.hpp"
#include "support/quantised.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// The values of a packed matrix, read from the first byte to the last as the header describes them.
std::vector<double> unpacked(const std::vector<std::byte>& bytes, dtype type, index_t rows, index_t columns) {
  const bool nibbles = type == dtype::int4 || type == dtype::nf4, by_rows = type == dtype::int8_rows;
  const index_t panels = (rows + 15) / 16, group = nibbles ? 8 : 4, block = type == dtype::nf4 ? 64 : 32;
  std::vector<double> values(static_cast<std::size_t>(panels * 16 * columns));
  std::size_t at = 0;
  const auto put = [&](index_t row, index_t column, unsigned code) {
    const double value = type == dtype::nf4    ? static_cast<double>(nf4_values[code])
                         : type == dtype::int4 ? static_cast<double>(code) - 8
                                               : static_cast<double>(code) - 128;
    values[static_cast<std::size_t>(row * columns + column)] = value;
  };
  const auto scale_row = [&](index_t row, index_t first, index_t count) {
    std::uint32_t bits = 0;
    const std::size_t size = by_rows ? 4 : 2;
    for (std::size_t i = 0; i < size; ++i) bits |= std::to_integer<std::uint32_t>(bytes[at++]) << (8 * i);
    const float scale = std::bit_cast<float>(by_rows ? bits : bits << 16);
    for (index_t k = first; k < first + count; ++k)
      values[static_cast<std::size_t>(row * columns + k)] *= static_cast<double>(scale);
  };
  for (index_t panel = 0; panel < panels; ++panel) {
    for (index_t first = 0; first < columns; first += block) {
      for (index_t k = first; k < first + block; k += group)
        for (index_t row = 0; row < 16; ++row)
          for (index_t j = 0; j < 4; ++j) {
            const auto byte = std::to_integer<unsigned>(bytes[at++]);
            put(16 * panel + row, k + j, nibbles ? byte % 16 : byte);
            if (nibbles) put(16 * panel + row, k + 4 + j, byte / 16);
          }
      for (index_t row = 0; row < 16 && !by_rows; ++row) scale_row(16 * panel + row, first, block);
    }
    for (index_t row = 0; row < 16 && by_rows; ++row) scale_row(16 * panel + row, 0, columns);
  }
  CHECK(at == bytes.size());
  for (std::size_t i = static_cast<std::size_t>(rows * columns); i < values.size(); ++i) CHECK(values[i] == 0);
  values.resize(static_cast<std::size_t>(rows * columns));
  return values;
}

/// ggml's Q8_0 and Q4_0, as model/storage.hpp describes them and ggml quantises to them.
std::vector<double> in_ggml(const std::vector<float>& x, bool four_bits) {
  std::vector<double> values;
  for (std::size_t first = 0; first < x.size(); first += 32) {
    float most = 0;
    for (std::size_t i = first; i < first + 32; ++i)
      if (std::fabs(x[i]) > std::fabs(most)) most = x[i];
    const float d = four_bits ? most / -8 : std::fabs(most) / 127, inverse = d == 0 ? 0 : 1 / d;
    const auto stored = static_cast<double>(f16::from_float(d).to_float());
    for (std::size_t i = first; i < first + 32; ++i) {
      const double q = four_bits ? std::min(15.0, std::floor(static_cast<double>(x[i] * inverse) + 8.5)) - 8
                                 : std::round(static_cast<double>(x[i] * inverse));
      values.push_back(q * stored);
    }
  }
  return values;
}

struct sample {
  const char* name;
  index_t rows, columns;
  std::vector<float> values;
};

std::vector<sample> samples() {
  std::vector<sample> all;
  all.push_back({"uniform", 19, 192, pattern("uniform", 19 * 192, 0, 0.05f)});
  all.push_back({"normal", 40, 256, normal("normal", 40 * 256)});
  auto outliers = normal("outliers", 33 * 320);
  for (std::size_t i = 0; i < outliers.size(); ++i)  // some channels, and some weights anywhere
    outliers[i] *= i % 320 == 7 || i % 320 == 200 ? 40.0f : i % 311 == 0 ? 100.0f : 0.02f;
  all.push_back({"outliers", 33, 320, outliers});
  all.push_back({"one panel", 16, 64, normal("panel", 16 * 64)});
  all.push_back({"one row", 1, 64, normal("row", 64)});
  return all;
}

std::vector<double> decoded(const std::vector<std::byte>& bytes, dtype type, index_t rows, index_t columns) {
  const weights<2> w(bytes.data(), type, {rows, columns});
  std::vector<double> values;
  for (index_t r = 0; r < rows; ++r)
    for (index_t k = 0; k < columns; ++k) values.push_back(w(r, k));
  return values;
}

}  // namespace

TEST_CASE("a weight reads as the exact product of what is stored of it, wherever it lies") {
  for (const auto& s : samples())
    for (const dtype type : quantised_types) {
      INFO(s.name, ", ", std::string(name_of(type)));
      const auto bytes = packed_matrix(type, s.values, s.rows, s.columns);
      CHECK(bytes.size() == quantised_size(type, s.rows, s.columns));
      CHECK(decoded(bytes, type, s.rows, s.columns) == unpacked(bytes, type, s.rows, s.columns));
    }
}

TEST_CASE("the values of nf4 are quantiles of the normal distribution") {
  // Halves of eight and nine quantiles from the tail to the middle, which only one of them counts.
  const auto quantile = [](double p) {
    double low = -9, high = 9;
    for (int i = 0; i < 80; ++i)
      (0.5 * std::erfc(-(low + high) / 2 / std::sqrt(2.0)) < p ? low : high) = (low + high) / 2;
    return (low + high) / 2;
  };
  const double tail = 0.9677083, most = quantile(tail);
  std::vector<double> want;
  for (int i = 0; i < 7; ++i) want.push_back(-quantile(tail + (0.5 - tail) * i / 7) / most);
  want.push_back(0);
  for (int i = 8; i-- > 0;) want.push_back(quantile(tail + (0.5 - tail) * i / 8) / most);
  for (std::size_t i = 0; i < 16; ++i)
    CHECK(static_cast<double>(nf4_values[i]) == doctest::Approx(want[i]).epsilon(2e-6));
}

TEST_CASE("every weight becomes the nearest value of its scale") {
  for (const auto& s : samples())
    for (const dtype type : quantised_types) {
      INFO(s.name, ", ", std::string(name_of(type)));
      const auto values = unpacked(packed_matrix(type, s.values, s.rows, s.columns), type, s.rows, s.columns);
      const index_t block = type == dtype::int8_rows ? s.columns : quantised_block(type);
      double worst = 0;
      for (std::size_t first = 0; first < values.size(); first += static_cast<std::size_t>(block)) {
        double most = 0, apart = 0;
        for (std::size_t i = first; i < first + static_cast<std::size_t>(block); ++i) {
          most = std::max(most, std::fabs(static_cast<double>(s.values[i])));
          apart = std::max(apart, std::fabs(values[i] - static_cast<double>(s.values[i])));
        }
        worst = std::max(worst, apart / most);
      }
      CHECK(worst <= budget::of_largest(type));
      CHECK(worst > budget::of_largest(type) / 8);  // the bound says something
    }
}

TEST_CASE("the squared error is that of the format, and no larger than in ggml's blocks of as many bits") {
  for (const auto& s : samples()) {
    const auto error = [&](dtype type) {
      return relative_l2(unpacked(packed_matrix(type, s.values, s.rows, s.columns), type, s.rows, s.columns), s.values);
    };
    INFO(s.name);
    const double eight = relative_l2(in_ggml(s.values, false), s.values),
                 four = relative_l2(in_ggml(s.values, true), s.values);
    CHECK(error(dtype::int8) <= 0.98 * eight);
    CHECK(error(dtype::int4) <= four);
    if (s.rows < 16) continue;
    CHECK(error(dtype::int4) <= 0.96 * four);
    if (std::string(s.name) == "normal")
      for (const dtype type : quantised_types) CHECK(error(type) <= budget::of_normal_weights(type));
  }
}

TEST_CASE("an outlier costs its own block, and with a scale per row the whole row") {
  auto values = std::vector<float>(128, 0.01f);
  values[5] = 100;
  const auto second_half = [&](dtype type) {
    const auto all = decoded(packed_matrix(type, values, 1, 128), type, 1, 128);
    return all[100];
  };
  for (const dtype type : {dtype::int8, dtype::int4, dtype::nf4})
    CHECK(second_half(type) == doctest::Approx(0.01).epsilon(4e-3));
  CHECK(second_half(dtype::int8_rows) == 0);
}

TEST_CASE("zeros, the smallest and the largest floats stay finite and near") {
  for (const dtype type : quantised_types)
    for (const float size : {0.0f, 1e-45f, 1e-39f, 1e-30f, 1e30f, std::numeric_limits<float>::max()}) {
      INFO(std::string(name_of(type)), " ", size);
      std::vector<float> values(64, size);
      for (std::size_t i = 0; i < 64; i += 3) values[i] = -size / 2;
      const auto got = decoded(packed_matrix(type, values, 1, 64), type, 1, 64);
      // Below the smallest scale of full precision there is less to lose.
      const double slack = budget::of_largest(type) * static_cast<double>(size) + 1e-38;
      for (std::size_t i = 0; i < 64; ++i) CHECK(std::fabs(got[i] - static_cast<double>(values[i])) <= slack);
    }
}

TEST_CASE("pack refuses what it cannot hold and writes nothing") {
  std::vector<float> values(2 * 64, 1.0f);
  std::vector<std::byte> to(quantised_size(dtype::int8, 2, 64), std::byte{0xee});
  const auto refuses = [&](const char* text, dtype type, index_t columns, std::size_t bytes) {
    const view<const float, 2> from(values.data(), {2, columns});
    const std::span room = std::span(to).first(bytes);
    CHECK(std::string(text) == quant::validate_pack(type, from, room).message());
    CHECK(std::string(text) == complaint_of([&] { quant::pack(type, from, room); }));
    CHECK(to == std::vector<std::byte>(to.size(), std::byte{0xee}));
  };
  refuses("rwkv7::quant::pack: type: got 0, want int8, int8_rows, int4 or nf4", dtype::f32, 64, to.size());
  refuses("rwkv7::quant::pack: columns: got 48, want a multiple of 32", dtype::int8, 48, to.size());
  refuses("rwkv7::quant::pack: columns: got 33, want a multiple of 32", dtype::int8_rows, 33, to.size());
  refuses("rwkv7::quant::pack: columns: got 32, want a multiple of 64", dtype::nf4, 32, to.size());
  refuses("rwkv7::quant::pack: workspace: got 1087 bytes, want 1088", dtype::int8, 64, 1087);
  values[64 + 7] = std::numeric_limits<float>::infinity();
  refuses("rwkv7::quant::pack: weight that is not finite, in row: got 1, want none", dtype::int4, 64, to.size());
  values[3] = std::numeric_limits<float>::quiet_NaN();
  refuses("rwkv7::quant::pack: weight that is not finite, in row: got 0, want none", dtype::int4, 64, to.size());
}

TEST_CASE("an empty matrix takes no bytes") {
  for (const dtype type : quantised_types) CHECK(packed_matrix(type, {}, 0, 64).empty());
}
