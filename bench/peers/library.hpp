// SPDX-License-Identifier: MIT
/// Shared libraries that are opened at run time: a peer is neither linked nor needed to build.
#pragma once

#include <dlfcn.h>

#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace rwkv7_bench {

/// Why a peer cannot take part, in one line.
struct peer_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class library {
 public:
  /// A function without arguments, and the string it must answer.
  struct answer {
    const char* function;
    const char* want;
  };

  /// Opens `file`, for as long as the program runs, and asks it who it is.
  explicit library(const std::filesystem::path& file, std::initializer_list<answer> answers = {})
      : name_(file.string()), handle_(dlopen(name_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) throw peer_error(dlerror());
    for (const auto& a : answers) {
      const std::string got = find<const char*()>(a.function)();
      if (got != a.want) throw peer_error(name_ + ": " + a.function + ": got " + got + ", want " + a.want);
    }
  }

  template <class F>
  F* find(const char* name) const {
    void* const symbol = dlsym(handle_, name);
    if (!symbol) throw peer_error(name_ + ": no function " + name);
    F* f;
    static_assert(sizeof f == sizeof symbol);
    std::memcpy(&f, &symbol, sizeof f);
    return f;
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  void* handle_;
};

/// A function of a library, found when it is made; called like the function.
template <class F>
class function {
 public:
  function(const library& from, const char* name) : f_(from.find<F>(name)) {}
  operator F*() const { return f_; }

 private:
  F* f_;
};

}  // namespace rwkv7_bench
