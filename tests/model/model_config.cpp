// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// config.json: what is read of it, and what is said where it is damaged.
#include "rwkv7/model/model_config.hpp"

#include <doctest/doctest.h>

#include "support/reported.hpp"
#include "support/safetensors_writer.hpp"

using namespace rwkv7_test;
using rwkv7::index_t;
using rwkv7::model_config;

TEST_CASE("a config.json that is damaged or says what cannot be done names its field") {
  const auto said = [](const std::string& text) {
    const temporary_file file(text);
    model_config config;
    auto complaint = reported([&] { rwkv7::read_config(file.path(), config); });
    CHECK(config.norm_eps == 0);  // nothing of it is taken
    const auto start = "rwkv7::model_config: " + rwkv7::detail::shown(file.path()) + ": ";
    return complaint.starts_with(start) ? complaint.substr(start.size()) : complaint;
  };
  CHECK(said("[]") == "is not a JSON object");
  CHECK(said("{\"rms_norm_eps\": 1e-6,") == "is not a JSON object");
  CHECK(said(R"({"rms_norm_eps": "small"})") == "rms_norm_eps: is no number above 0");
  CHECK(said(R"({"rms_norm_eps": 1e-6, "rope_theta": -1})") == "rope_theta: is no number above 0");
  CHECK(said(R"({"head_dim": 1.5})") == "head_dim: is no whole number of 0 or more");
  CHECK(said(R"({"transformer_layers": [1, "2"]})") == "transformer_layers: is no list of layers");
  CHECK(said(R"({"transformer_layers": 5})") == "transformer_layers: is no list of layers");
  CHECK(said(R"({"enable_qk_norm": 1})") == "enable_qk_norm: is neither true nor false");
  CHECK(said(R"({"rwkv_architecture": 79})") == "rwkv_architecture: is no string");
  CHECK(said(R"({"nope_in_rwkv": 0})") == "nope_in_rwkv: is neither true nor false");
  CHECK(said("{\"a\":" + std::string(300'000, '[')) == "is not a JSON object");
  CHECK(said("{\"rope_scaling\":" + std::string(40, '[') + std::string(40, ']') + "}") == "is not a JSON object");
  CHECK(said(std::string(1'000'001, ' ')) == "is too large");
}

TEST_CASE("fields that are missing or null leave what was there") {
  const temporary_file file(
      R"({"rope_theta": 5e5, "head_dim": null, "transformer_layers": [-1], "rope_scaling": null})");
  model_config config;
  config.norm_eps = 1e-5, config.head_size = 96;
  CHECK(rwkv7::read_config(file.path(), config));
  CHECK(config.rope_theta == 5e5);
  CHECK(config.norm_eps == 1e-5);
  CHECK(config.head_size == 96);
  CHECK(config.attention_layers.empty());
  CHECK_FALSE(config.scaled_rope);
  CHECK_FALSE(config.time_mix_rope);
}

TEST_CASE("rotation that is not the plain one is noticed, and a window makes room for itself") {
  const auto read = [](const std::string& text) {
    const temporary_file file(text);
    model_config config;
    CHECK(rwkv7::read_config(file.path(), config));
    return config;
  };
  CHECK(read(R"({"rope_scaling": {"type": "yarn"}})").scaled_rope);
  CHECK(read(R"({"partial_rotary_factor": 0.5})").scaled_rope);
  CHECK_FALSE(read(R"({"partial_rotary_factor": 1.0})").scaled_rope);
  CHECK(read(R"({"nope_in_rwkv": false})").time_mix_rope == true);
  CHECK(read(R"({"sliding_window": 9000, "use_sliding_window": true})").context == 9000);
  CHECK(read(R"({"sliding_window": 9000, "use_sliding_window": true})").window == 9000);
  CHECK(read(R"({"sliding_window": 9000, "use_sliding_window": false})").window == 0);
}
