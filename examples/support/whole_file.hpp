// SPDX-License-Identifier: MIT
/// A file that is complete or not there, with exceptions: not being able to write is nobody's bad input.
#pragma once

#include <rwkv7/model/whole_file.hpp>
#include <stdexcept>
#include <string>

namespace examples {

/// rwkv7::whole_file that throws std::runtime_error.
class whole_file {
 public:
  explicit whole_file(const std::filesystem::path& path) : path_(path), file_(path) { check(file_.write({})); }

  template <class T>
  void write(std::span<const T> values) {
    check(file_.write(std::as_bytes(values)));
  }
  void commit() { check(!file_.commit()); }

 private:
  void check(bool good) const {
    if (!good) throw std::runtime_error(path_.string() + " cannot be written");
  }

  std::filesystem::path path_;
  rwkv7::whole_file file_;
};

}  // namespace examples
