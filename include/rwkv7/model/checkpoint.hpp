// SPDX-License-Identifier: MIT
/// Opens a checkpoint of any known format, told by its content, with the names and layout of RWKV-LM.
///
///   .safetensors   with the names of RWKV-LM or of HF; beside the latter, config.json is read where it is
///   a folder       of HF: model.safetensors, or the parts that model.safetensors.index.json names
///   .pth           as RWKV-LM releases it
///   .gguf          of architecture rwkv7
#pragma once

#include <cmath>
#include <cstdlib>

#include "rwkv7/model/gguf.hpp"
#include "rwkv7/model/json_file.hpp"
#include "rwkv7/model/pth.hpp"
#include "rwkv7/model/rename.hpp"
#include "rwkv7/model/safetensors.hpp"

namespace rwkv7 {

namespace detail {

/// What begins as which format.
inline read_tensors format_of(std::span<const std::byte> bytes, std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const bool gguf = text.starts_with("GGUF"), pth = text.starts_with("PK\3\4") || text.starts_with(legacy_pth);
  name = gguf ? "gguf" : pth ? "pth" : "safetensors";
  return gguf ? read_gguf : pth ? read_pth : read_safetensors;
}

class checkpoint_reader {
 public:
  checkpoint_reader(tensor_file& result, const std::filesystem::path& path) : result_(result), path_(path) {
    result_.name = shown(path);
  }

  diagnosis read() {
    std::error_code ignored;
    if (std::filesystem::is_directory(path_, ignored))
      read_folder();
    else
      add(path_);
    if (problem_) return problem_;
    const auto scheme = naming_of(result_);
    if (scheme == naming::hf) read_config();
    if (scheme == naming::gguf) check_gguf();
    if (problem_) return problem_;
    return to_rwkv_lm(result_, scheme, std::strtoll(metadata("rwkv7.wkv.head_size").c_str(), nullptr, 10));
  }

 private:
  /// One file's tensors beside those that are there.
  void add(const std::filesystem::path& path) {
    tensor_file part{.name = shown(path)};
    auto map = file_map::open(path, problem_);
    if (problem_) return;
    const auto read = format_of(map.bytes(), part.format);
    problem_ = read(part, map.bytes());
    if (problem_) return;
    result_.format = part.format;
    result_.files.push_back(std::move(map));
    result_.metadata.merge(part.metadata);
    std::move(part.tensors.begin(), part.tensors.end(), std::back_inserter(result_.tensors));
    finish_tensors(result_, problem_);
  }

  void read_folder() {
    const auto index = path_ / "model.safetensors.index.json", whole = path_ / "model.safetensors";
    std::error_code ignored;
    if (std::filesystem::exists(whole, ignored) || !std::filesystem::exists(index, ignored)) return add(whole);
    const auto json = parse(index);
    std::set<std::string> parts;
    const auto map = json.find("weight_map");
    if (!problem_ && (map == json.end() || !map->is_object()))
      complain("model.safetensors.index.json", "has no weight_map");
    if (problem_) return;
    for (const auto& part : *map) {
      const auto name = part.is_string() ? part.get<std::string>() : std::string();
      if (name.empty() || std::filesystem::path(name).filename() != name)
        return complain("model.safetensors.index.json", "names a part that is no file beside it: " + shown(name, 60));
      parts.insert(name);
    }
    for (const auto& part : parts)
      if (!problem_) add(path_ / part);
    for (const auto& [name, part] : map->items())
      if (!problem_ && !result_.find(name)) complain(name, "is in none of the parts");
  }

  /// config.json says what the tensors do not: that the norms are the ones this library has.
  void read_config() {
    std::error_code ignored;
    const auto folder = std::filesystem::is_directory(path_, ignored) ? path_ : path_.parent_path();
    if (!std::filesystem::exists(folder / "config.json", ignored)) return;
    const auto json = parse(folder / "config.json");
    if (problem_) return;
    const auto real = [&](const char* key, double otherwise) {
      const auto at = json.find(key);
      return at != json.end() && at->is_number() ? at->get<double>() : otherwise;
    };
    const double eps = real("norm_eps", 1e-5), head_size = real("head_dim", 64);
    check_eps("config.json: norm_eps", eps);
    // HF's group norm divides by the root of variance + head_dim · norm_eps.
    if (std::abs(head_size * eps - 64e-5) > 1e-9)
      complain("config.json: head_dim", "got " + text_of(head_size) + ", want 64, for a group norm of eps 64e-5");
    if (const auto type = json.find("model_type"); type != json.end() && *type != "rwkv7")
      complain("config.json: model_type", "got " + shown(type->dump(), 40) + ", want \"rwkv7\"");
  }

  void check_gguf() {
    if (const auto architecture = metadata("general.architecture"); architecture != "rwkv7")
      return complain("general.architecture", "got " + shown(architecture, 40) + ", want rwkv7");
    if (const auto eps = metadata("rwkv7.attention.layer_norm_epsilon"); !eps.empty())
      check_eps("rwkv7.attention.layer_norm_epsilon", std::strtod(eps.c_str(), nullptr));
  }

  void check_eps(const char* key, double eps) {
    if (!(std::abs(eps - 1e-5) < 1e-10)) complain(key, "got " + text_of(eps) + ", want 1e-05");
  }

  /// What the file says under this key, or nothing.
  std::string metadata(const char* key) const {
    const auto at = result_.metadata.find(key);
    return at == result_.metadata.end() ? std::string() : at->second;
  }
  static std::string text_of(double x) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", x);
    return digits;
  }

  nlohmann::json parse(const std::filesystem::path& path) {
    return read_json(path, problem_, [&](const char* what) { complain(shown(path.filename()), what); });
  }

  void complain(const std::string& subject, const std::string& what) {
    problem_.complain("rwkv7::checkpoint: %s: %s: %s", result_.name.c_str(), shown(subject, 60).c_str(), what.c_str());
  }

  tensor_file& result_;
  std::filesystem::path path_;
  diagnosis problem_;
};

}  // namespace detail

/// Opens and checks a checkpoint; nothing of the parameters is read. rwkv7::error names the file and the tensor; where
/// exceptions are off the result is then empty.
inline tensor_file open_checkpoint(const std::filesystem::path& path) {
  tensor_file result;
  const auto problem = detail::checkpoint_reader(result, path).read();
  if (!problem) return result;
  report(problem);
  return {};
}

}  // namespace rwkv7
