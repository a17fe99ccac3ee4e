// SPDX-License-Identifier: MIT
/// JSON objects from files that nobody has checked.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "rwkv7/core/check.hpp"
#include "rwkv7/model/file_map.hpp"

namespace rwkv7::detail {

/// The object in a file of at most 1 MB that is nested at most 16 deep, so that it can be printed; an index of two
/// thousand tensors takes a fifth of that. What is wrong with its content goes to complain(text), and the object is
/// then empty.
template <class Json = nlohmann::json, class Complain>
Json read_json(const std::filesystem::path& path, diagnosis& problem, Complain complain) {
  constexpr std::size_t most = 1'000'000;  // bytes
  constexpr int deepest = 16;
  const auto map = file_map::open(path, problem);
  if (problem) return Json::object();
  const std::string_view text(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size());
  bool deep = false;
  const auto keep = [&](int depth, typename Json::parse_event_t, Json&) {
    deep = deep || depth > deepest;
    return !deep;
  };
  if (text.size() > most) complain("is too large");
  if (problem) return Json::object();
  auto json = Json::parse(text.begin(), text.end(), keep, false);
  if (!deep && json.is_object()) return json;
  complain("is not a JSON object");
  return Json::object();
}

}  // namespace rwkv7::detail
