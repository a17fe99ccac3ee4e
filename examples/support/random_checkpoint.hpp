// SPDX-License-Identifier: MIT
/// A language model of random parameters, for examples that must run without a download.
#pragma once

#include <cstdint>
#include <filesystem>
#include <random>
#include <rwkv7/model.hpp>
#include <span>
#include <string>
#include <vector>

#include "whole_file.hpp"

namespace examples {

/// Writes a .safetensors file of all tensors that a model of these sizes must have, with the names of the variant. The
/// low-rank maps have rank 8. Of a hybrid, `shapes` says which layers are attention.
template <class Weights>
void write_random_checkpoint(const std::filesystem::path& path, const rwkv7::variant& v, Weights shapes,
                             const rwkv7::model_sizes& sizes) {
  using namespace rwkv7;
  shapes.layers.resize(static_cast<std::size_t>(sizes.layers));
  for (auto& p : shapes.layers)
    for (auto* w : {&p.att.w, &p.att.a, &p.att.v, &p.att.k, &p.att.g})
      w->in = weights<2>(nullptr, dtype::f32, {sizes.C, 8});

  std::string header = "{";
  std::vector<float> values;
  std::mt19937 random(1);
  for_each_parameter(v, shapes, sizes, [&](const std::string& name, const auto&, const auto& axes, presence needed) {
    if (needed != presence::required) return;
    const bool matrix = axes.size() == 2;
    std::size_t count = 1;
    std::string shape;
    for (const axis& a : axes) {
      count *= static_cast<std::size_t>(a.want);
      (shape += shape.empty() ? "" : ",") += std::to_string(a.want);
    }
    const std::size_t begin = values.size() * sizeof(float);
    for (std::size_t i = 0; i < count; ++i) {
      const float unit = static_cast<float>(random()) * 0x1p-31f - 1;  // in [-1, 1)
      values.push_back(matrix ? unit * 0.4f : 0.5f + unit * 0.5f);
    }
    header += (header.size() > 1 ? ",\"" : "\"") + name + "\":{\"dtype\":\"F32\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(values.size() * sizeof(float)) +
              "]}";
  });
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = header.size();
  whole_file file(path);
  file.write(std::span(&size, 1));
  file.write(std::span<const char>(header));
  file.write(std::span<const float>(values));
  file.commit();
}

}  // namespace examples
