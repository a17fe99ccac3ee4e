// SPDX-License-Identifier: MIT
/// Numbers for tests: the same on every machine, the same values in float and in double.
#pragma once

#include <string_view>
#include <variant>

#include "rwkv7/core/weights.hpp"
#include "support/pattern.hpp"
#include "support/strided.hpp"

namespace rwkv7_test {

/// Uniform on [-√3, √3): mean 0, variance 1.
inline constexpr float unit_scale = 1.7320508f;

/// Uniform on [offset - scale, offset + scale).
template <class T, int Rank>
void fill(tensor<T, Rank>& x, std::string_view name, float offset = 0, float scale = unit_scale) {
  const pattern_stream stream(name);
  x.generate([&](index_t i) { return element<T>(stream(i, offset, scale)); });
}

/// As an operand in this type has it.
inline float rounded_to(rwkv7::dtype type, float x) {
  if (type == rwkv7::dtype::bf16) return rwkv7::bf16::from_float(x).to_float();
  if (type == rwkv7::dtype::f16) return rwkv7::f16::from_float(x).to_float();
  return x;
}

/// Decay logits as models have them: most channels forget within tokens to hundreds of tokens, every fourth one keeps
/// its values for thousands.
template <class T>
void fill_decay(tensor<T, 4>& w, std::string_view name) {
  const pattern_stream stream(name);
  w.generate([&](index_t i) { return element<T>(i % w.extent(3) % 4 == 0 ? stream(i, -12, 3) : stream(i, -4, 6)); });
}

/// A parameter tensor in any of the three element types, uniform on [offset - scale, offset + scale) before rounding.
template <int Rank>
class parameter {
 public:
  using index_array = typename tensor<float, Rank>::index_array;

  parameter(const index_array& extents, rwkv7::dtype type, std::string_view name, float offset, float scale,
            layout how = layout::offset)
      : values_(tensor<float, Rank>(extents, how)) {
    if (type == rwkv7::dtype::f16) values_ = tensor<rwkv7::f16, Rank>(extents, how);
    if (type == rwkv7::dtype::bf16) values_ = tensor<rwkv7::bf16, Rank>(extents, how);
    std::visit([&](auto& x) { fill(x, name, offset, scale); }, values_);
  }

  operator rwkv7::weights<Rank>() const {
    return std::visit([](const auto& x) { return rwkv7::weights<Rank>(x.in()); }, values_);
  }
  /// Element i in row-major order, as it was rounded.
  double operator[](index_t i) const {
    return std::visit(
        [&](const auto& x) {
          if constexpr (sizeof x[i] == 2)
            return static_cast<double>(x[i].to_float());
          else
            return static_cast<double>(x[i]);
        },
        values_);
  }

 private:
  std::variant<tensor<float, Rank>, tensor<rwkv7::f16, Rank>, tensor<rwkv7::bf16, Rank>> values_;
};

inline constexpr rwkv7::dtype dtypes[] = {rwkv7::dtype::f32, rwkv7::dtype::bf16, rwkv7::dtype::f16};

}  // namespace rwkv7_test
