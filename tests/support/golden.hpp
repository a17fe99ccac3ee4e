// SPDX-License-Identifier: MIT
/// The golden files and the inputs their metadata describe.
#pragma once

#include <string>
#include <vector>

#include "support/pattern.hpp"
#include "support/safetensors_file.hpp"

namespace rwkv7_test {

/// tests/golden/<name>.safetensors
inline safetensors_file golden_file(const std::string& name) {
  return safetensors_file(std::string(RWKV7_GOLDEN_DIR) + "/" + name + ".safetensors");
}

/// The values of a tensor given by {name, shape, offset, scale, patches}. `prefix` stands before the name in the
/// formula.
inline std::vector<float> golden_input(const nlohmann::json& described, const std::string& prefix = "") {
  std::int64_t count = 1;
  for (const auto& extent : described["shape"]) count *= extent.get<std::int64_t>();
  std::vector<pattern_patch> patches;
  for (const auto& patch : described["patches"])
    patches.push_back({patch["begin"], patch["count"], patch["offset"], patch["scale"]});
  return pattern(prefix + described["name"].get<std::string>(), count, described["offset"], described["scale"],
                 patches);
}

}  // namespace rwkv7_test
