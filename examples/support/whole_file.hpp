// SPDX-License-Identifier: MIT
/// A file that is complete or not there.
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>

namespace examples {

/// Written under another name beside its own, which commit gives it; without a commit it is removed again, and what had
/// the name before stays. A device or pipe of that name is written as it is. Throws std::runtime_error.
class whole_file {
 public:
  explicit whole_file(const std::filesystem::path& path) : path_(path), written_(path) {
    std::error_code failure;
    const auto status = std::filesystem::status(path, failure);
    if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) written_ += ".partial";
    stream_.open(written_, std::ios::binary | std::ios::trunc);
    check(stream_.is_open());
  }
  ~whole_file() {
    std::error_code ignored;
    if (!complete_ && written_ != path_) std::filesystem::remove(written_, ignored);
  }
  whole_file(const whole_file&) = delete;
  whole_file& operator=(const whole_file&) = delete;

  template <class T>
  void write(std::span<const T> values) {
    check(static_cast<bool>(stream_.write(reinterpret_cast<const char*>(values.data()),
                                          static_cast<std::streamsize>(values.size_bytes()))));
  }

  void commit() {
    stream_.close();
    std::error_code failure;
    if (stream_ && written_ != path_) std::filesystem::rename(written_, path_, failure);
    check(stream_ && !failure);
    complete_ = true;
  }

 private:
  void check(bool good) const {
    if (!good) throw std::runtime_error(path_.string() + " cannot be written");
  }

  std::filesystem::path path_, written_;
  std::ofstream stream_;
  bool complete_ = false;
};

}  // namespace examples
