// SPDX-License-Identifier: MIT
/// What the tensors of a model do not tell: given by the caller, or read from a config.json.
#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rwkv7/core/check.hpp"
#include "rwkv7/model/json_file.hpp"

namespace rwkv7 {

/// Beside each field its name in config.json. Models with RWKV-LM's layers need none of it but, without a bonus, the
/// head size.
struct model_config {
  std::string architecture{};               // rwkv_architecture: "hxa079"; empty where nobody says
  std::string gate{};                       // rwkv_gate: "sigmoid" or "one_plus_sigmoid", of a cxa076 or an ARWKV
  std::optional<bool> qk_norm{};            // enable_qk_norm
  index_t head_size = 0;                    // head_dim; 0: as tensors say; if none does, 64 with RWKV-LM's layers
  double norm_eps = 0;                      // rms_norm_eps; of all rms norms
  double head_norm_eps = 0;                 // of those of queries and keys; 0: norm_eps
  double group_norm_eps = 64e-5;            // of the readout, in variants that have it
  double rope_theta = 0;                    // rope_theta
  std::optional<bool> time_mix_rope{};      // nope_in_rwkv false: checked against the variant
  bool scaled_rope = false;                 // rope_scaling and the like are there: refused where anything turns
  bool attention_rope = false;              // nope_in_transformer false: attention turns queries and keys as well
  std::vector<index_t> attention_layers{};  // transformer_layers; empty: as the tensors say
  std::optional<bool> tied_head{};          // tie_word_embeddings; where nobody says, a model without a head has one
  index_t window = 0;                       // sliding_window, where use_sliding_window; 0: all that is kept
  index_t context = 4096;                   // tokens whose keys and values attention keeps, the caller's choice
  bool first_is_layer_0 = false;            // residuals lean to layer 0 as in training, not to the first with time-mix
};

namespace detail {

/// The fields that are there; of another type than they should be is a complaint.
class config_reader {
 public:
  config_reader(const std::string& file, const nlohmann::json& json) : file_(file), json_(json) {}

  diagnosis read(model_config& c) {
    text("rwkv_architecture", c.architecture);
    text("rwkv_gate", c.gate);
    flag("enable_qk_norm", c.qk_norm);
    flag("tie_word_embeddings", c.tied_head);
    whole("head_dim", c.head_size);
    real("rms_norm_eps", c.norm_eps);
    real("rope_theta", c.rope_theta);
    std::optional<bool> nope, nope_in_rwkv, sliding;
    flag("nope_in_transformer", nope);
    flag("nope_in_rwkv", nope_in_rwkv);
    flag("use_sliding_window", sliding);
    if (nope) c.attention_rope = !*nope;
    if (nope_in_rwkv) c.time_mix_rope = !*nope_in_rwkv;
    if (sliding.value_or(false)) whole("sliding_window", c.window);
    c.context = std::max(c.context, c.window);
    if (const auto* list = find("transformer_layers")) {
      for (const auto& layer : *list)
        if (!list->is_array() || !layer.is_number_integer())
          return complain("transformer_layers", "is no list of layers");
      const auto layers = list->get<std::vector<index_t>>();
      if (layers != std::vector<index_t>{-1}) c.attention_layers = layers;  // so RWKVInside says that there are none
    }
    const auto* part = find("partial_rotary_factor");
    c.scaled_rope = find("rope_scaling") || find("rope_parameters") || (part && *part != 1);
    return problem_;
  }

 private:
  /// Nothing where it is missing or null.
  const nlohmann::json* find(const char* key) const {
    const auto at = json_.find(key);
    return at != json_.end() && !at->is_null() ? &*at : nullptr;
  }
  void text(const char* key, std::string& to) {
    if (const auto* at = find(key); at && at->is_string())
      to = at->get<std::string>();
    else if (at)
      complain(key, "is no string");
  }
  void flag(const char* key, std::optional<bool>& to) {
    if (const auto* at = find(key); at && at->is_boolean())
      to = at->get<bool>();
    else if (at)
      complain(key, "is neither true nor false");
  }
  void whole(const char* key, index_t& to) {
    if (const auto* at = find(key); at && at->is_number_integer() && at->get<double>() >= 0 && at->get<double>() < 1e9)
      to = at->get<index_t>();
    else if (at)
      complain(key, "is no whole number of 0 or more");
  }
  void real(const char* key, double& to) {
    if (const auto* at = find(key); at && at->is_number() && at->get<double>() > 0)
      to = at->get<double>();
    else if (at)
      complain(key, "is no number above 0");
  }
  diagnosis complain(const char* key, const std::string& what) {
    problem_.complain("rwkv7::model_config: %s: %s: %s", file_.c_str(), key, what.c_str());
    return problem_;
  }

  const std::string& file_;
  const nlohmann::json& json_;
  diagnosis problem_;
};

}  // namespace detail

/// Reads a config.json. rwkv7::error names file and field; where exceptions are off `config` is then as it was, and
/// the result false.
inline bool read_config(const std::filesystem::path& path, model_config& config) {
  diagnosis problem;
  model_config found = config;
  const auto name = detail::shown(path);
  const auto json = detail::read_json(
      path, problem, [&](const char* what) { problem.complain("rwkv7::model_config: %s: %s", name.c_str(), what); });
  if (!problem) problem = detail::config_reader(name, json).read(found);
  if (problem) {
    report(problem);
    return false;
  }
  config = std::move(found);
  return true;
}

/// The config.json of a model: in its folder, or beside its file. Nothing where there is none.
inline std::optional<std::filesystem::path> config_beside(const std::filesystem::path& model) {
  std::error_code ignored;
  const auto folder = std::filesystem::is_directory(model, ignored) ? model : model.parent_path();
  const auto path = folder / "config.json";
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  return path;
}

}  // namespace rwkv7
