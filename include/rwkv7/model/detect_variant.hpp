// SPDX-License-Identifier: MIT
/// Which variant a checkpoint is, for programs that learn it at run time.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "rwkv7/model/hybrid_names.hpp"
#include "rwkv7/model/model_config.hpp"
#include "rwkv7/variant/catalogue.hpp"

namespace rwkv7 {

/// Calls f.operator()<V>() with the V of the list that equals `wanted`, and says whether there was one: from a value
/// known at run time to code compiled for it.
template <variant... Vs, class F>
bool with_variant(const variant& wanted, F&& f) {
  return ((wanted == Vs && (f.template operator()<Vs>(), true)) || ...);
}

namespace detail {

/// Published names, after "cxa" or "hxa", which mean the same block.
struct published_variant {
  std::string_view name;
  variant value;
};
inline constexpr std::array<published_variant, 14> published_variants{{
    {"x070", x070},
    {"073", cxa073},
    {"074", cxa073},
    {"075", cxa075},
    {"076", cxa076},
    {"076r", cxa076r},
    {"077", cxa078},
    {"078", cxa078},
    {"079", cxa079},
    {"07a", hxa07a},
    {"07b", hxa07b},
    {"07c", hxa07c},
    {"arwkv", arwkv_gated},
    {"rad_rwkv7", rad_rwkv7},
}};

/// Tells a variant from a config, and from what the tensors are called.
class variant_detector {
 public:
  variant_detector(const tensor_file& file, const model_config& config) : file_(file), config_(config) {
    for (const auto& tensor : file.tensors) {
      const auto name = hybrid_name(tensor.name);
      if (name.find(".q_proj.") != name.npos) attention_.push_back(name.substr(0, name.find(".q_proj.")));
    }
    for (const auto& tensor : file.tensors) {
      const auto name = hybrid_name(tensor.name);
      const auto at = name.find(".att.");
      if (at == name.npos) continue;
      if (std::find(attention_.begin(), attention_.end(), name.substr(0, at + 4)) == attention_.end())
        att_.push_back(name.substr(at + 5));
    }
  }

  diagnosis detect(variant& result) {
    if (!is_hybrid(file_) && config_.architecture.empty()) {
      result = x070;
      return problem_;
    }
    std::string name = config_.architecture.empty() ? told_by_tensors() : config_.architecture;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    std::string_view number = name;
    if (number.starts_with("cxa") || number.starts_with("hxa")) number.remove_prefix(3);
    const auto found = std::find_if(published_variants.begin(), published_variants.end(),
                                    [&](const auto& each) { return each.name == number; });
    if (found == published_variants.end())
      complain("rwkv_architecture: got " + shown(name, 40) +
               ", want x070, cxa073 to cxa079, hxa078 to hxa07c, arwkv or rad_rwkv7");
    if (problem_) return problem_;
    variant v = found->value;
    settle_norm(v);
    if (v == cxa076)
      settle_gate();
    else if (number == "arwkv")
      settle_arwkv(v);
    else if (!config_.gate.empty() && config_.gate != (v.gate == gate_form::sigmoid            ? "sigmoid"
                                                       : v.gate == gate_form::one_plus_sigmoid ? "one_plus_sigmoid"
                                                                                               : "none"))
      complain("rwkv_gate: got " + shown(config_.gate, 40) + ", which is not the gate of " + shown(name, 40));
    if (!problem_) result = v;
    return problem_;
  }

 private:
  bool has(std::string_view name) const { return std::find(att_.begin(), att_.end(), name) != att_.end(); }

  /// Where several variants have the same tensors, a complaint.
  std::string told_by_tensors() {
    if (has("k0")) return "cxa079";
    if (has("x_r")) return "arwkv";
    if (has("k_k")) return has("g1") ? "cxa075" : "cxa073";
    if (has("v0") && !has("r_k")) return "rad_rwkv7";
    if (has("v0"))
      complain("rwkv_architecture: is not given: cxa076, cxa076r and cxa078 have the same tensors");
    else if (has("v1"))
      complain("rwkv_architecture: is not given: hxa07b and hxa07c have the same tensors");
    return "hxa07a";
  }

  /// Models of one variant have the norm of queries and keys where their teacher had it.
  void settle_norm(variant& v) {
    const bool there = has("ln_r.weight");
    if (config_.qk_norm && *config_.qk_norm != there)
      return complain(there ? "enable_qk_norm: got false, but there are tensors ln_r"
                            : "enable_qk_norm: got true, but there is no tensor ln_r");
    const bool optional = v.qk_norm || v == cxa076;
    if (optional) v.qk_norm = there;
  }
  /// The first cxa076 had a gate of 1 + σ, and another scale with it.
  void settle_gate() {
    if (config_.gate.empty())
      complain("rwkv_gate: is not given: a cxa076's tensors do not tell sigmoid from one_plus_sigmoid");
    else if (config_.gate != "sigmoid")
      complain("rwkv_gate: got " + shown(config_.gate, 40) +
               ", want sigmoid: the first cxa076, of 1 + σ, divides by √C as well, which is not supported");
  }
  void settle_arwkv(variant& v) {
    v.norm = has("ln_x.weight") ? readout_norm::group_norm : readout_norm::none;
    if (!has("g1")) {
      v.gate = gate_form::none;
    } else if (config_.gate.empty()) {
      complain("rwkv_gate: is not given: an ARWKV's tensors do not tell sigmoid from one_plus_sigmoid");
    } else if (config_.gate == "one_plus_sigmoid") {
      v.gate = gate_form::one_plus_sigmoid;
    } else if (config_.gate != "sigmoid") {
      complain("rwkv_gate: got " + shown(config_.gate, 40) + ", want sigmoid or one_plus_sigmoid");
    }
  }

  void complain(const std::string& what) {
    problem_.complain("rwkv7::detect_variant: %s: %s", file_.name.c_str(), what.c_str());
  }

  const tensor_file& file_;
  const model_config& config_;
  std::vector<std::string> attention_;  // "blocks.3.att" of those layers
  std::vector<std::string> att_;        // names behind "blocks.3.att." of time-mix layers
  diagnosis problem_;
};

}  // namespace detail

/// The variant of an open checkpoint: the one that config.architecture names, else the one its tensors tell. Where they
/// tell several, which is so of cxa076, cxa076r and cxa078, of hxa07b and hxa07c, and of gates of σ and 1 + σ in cxa076
/// and ARWKV, that is the complaint, and `result` stays as it is: what computes is never guessed.
inline diagnosis detect_variant(const tensor_file& file, const model_config& config, variant& result) {
  return detail::variant_detector(file, config).detect(result);
}

}  // namespace rwkv7
