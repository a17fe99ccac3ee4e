// SPDX-License-Identifier: MIT
/// Command lines of "--name value" pairs, flags and file names.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace examples {

/// Something that whoever started the program can put right.
struct bad_input : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Every option at most once, with a value that is not empty unless it is a flag; up to `most_operands` arguments that
/// belong to no option. Throws bad_input for anything else.
class options {
 public:
  options(const std::vector<std::string>& arguments, const std::vector<std::string>& names,
          const std::vector<std::string>& flags = {}, std::size_t most_operands = 0) {
    const auto is_in = [](const std::vector<std::string>& all, const std::string& name) {
      return std::find(all.begin(), all.end(), name) != all.end();
    };
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const auto& name = arguments[i];
      if (!name.starts_with('-')) {
        if (name.empty() || operands_.size() == most_operands) throw bad_input("unexpected argument '" + name + "'");
        operands_.push_back(name);
        continue;
      }
      const bool flag = is_in(flags, name);
      if (!flag && !is_in(names, name)) throw bad_input("unknown option '" + name + "'");
      if (has(name)) throw bad_input(name + " is given twice");
      if (!flag && (++i == arguments.size() || arguments[i].empty())) throw bad_input(name + " needs a value");
      given_[name] = flag ? "" : arguments[i];
    }
  }

  const std::vector<std::string>& operands() const { return operands_; }

  bool has(const std::string& name) const { return given_.contains(name); }
  /// Empty for one that was not given.
  std::string text(const std::string& name) const { return has(name) ? given_.at(name) : ""; }

  /// A whole number in [least, most].
  template <class Integer>
  Integer whole(const std::string& name, Integer fallback, Integer least, Integer most) const {
    if (!has(name)) return fallback;
    const auto value = parsed<Integer>(text(name));
    if (value && *value >= least && *value <= most) return *value;
    throw bad_input(name + ": got '" + text(name) + "', want a whole number from " + std::to_string(least) + " to " +
                    std::to_string(most));
  }
  float real(const std::string& name, float fallback) const {
    if (!has(name)) return fallback;
    char* end = nullptr;
    const float value = std::strtof(given_.at(name).c_str(), &end);
    if (*end != '\0') throw bad_input(name + ": got '" + text(name) + "', want a number");
    return value;
  }
  /// Whole numbers in [0, 2^31) with commas between; none for an option that was not given.
  std::vector<std::int32_t> list(const std::string& name) const {
    return has(name) ? numbers(name, text(name)) : std::vector<std::int32_t>();
  }
  /// Such a list from elsewhere; `where` begins the complaint.
  static std::vector<std::int32_t> numbers(const std::string& where, const std::string& list) {
    std::vector<std::int32_t> values;
    std::istringstream items(list + ",");
    for (std::string item; std::getline(items, item, ',');) {
      const auto value = parsed<std::int32_t>(item);
      if (!value || *value < 0) throw bad_input(where + ": got '" + list + "', want numbers like 34,105,110");
      values.push_back(*value);
    }
    return values;
  }

 private:
  template <class Integer>
  static std::optional<Integer> parsed(const std::string& text) {
    Integer value{};
    const char* const end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data(), end, value);
    return failure == std::errc() && stop == end ? std::optional(value) : std::nullopt;
  }

  std::map<std::string, std::string> given_;
  std::vector<std::string> operands_;
};

}  // namespace examples
