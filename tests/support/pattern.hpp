// SPDX-License-Identifier: MIT
/// Test data that needs no file: element i of the tensor called `name`, by the formula of tests/golden/README.md.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace rwkv7_test {

/// A run of elements with a range of its own.
struct pattern_patch {
  std::int64_t begin, count;
  float offset, scale;
};

/// A stream of numbers that depends on its name alone.
class pattern_stream {
 public:
  explicit pattern_stream(std::string_view name) noexcept {
    for (const char c : name) seed_ = (seed_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }

  std::uint32_t u24(std::int64_t i) const noexcept {
    std::uint64_t z = seed_ + (static_cast<std::uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 40);
  }
  /// Uniform in [offset - scale, offset + scale). The product is exact, so contraction cannot change the result.
  float operator()(std::int64_t i, float offset, float scale) const noexcept {
    const double unit = static_cast<double>(u24(i)) * 0x1p-23 - 1.0;
    return static_cast<float>(static_cast<double>(offset) + static_cast<double>(scale) * unit);
  }

 private:
  std::uint64_t seed_ = 0xcbf29ce484222325u;
};

inline std::vector<float> pattern(std::string_view name, std::int64_t count, float offset, float scale,
                                  const std::vector<pattern_patch>& patches = {}) {
  const pattern_stream stream(name);
  std::vector<float> values(static_cast<std::size_t>(count));
  const auto fill = [&](std::int64_t begin, std::int64_t end, float at, float by) {
    for (std::int64_t i = begin; i < end && i < count; ++i) values[static_cast<std::size_t>(i)] = stream(i, at, by);
  };
  fill(0, count, offset, scale);
  for (const auto& patch : patches) fill(patch.begin, patch.begin + patch.count, patch.offset, patch.scale);
  return values;
}

}  // namespace rwkv7_test
