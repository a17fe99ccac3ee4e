// SPDX-License-Identifier: MIT
/// A file that is complete or not there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

#include "rwkv7/model/file_map.hpp"

namespace rwkv7 {

/// Written under another name beside its own (with .partial behind it), which commit gives it; without a commit it is
/// removed again, and what had the name before stays. A device or pipe of that name is written as it is. Two at once of
/// one name spoil each other. Nothing is forced onto the disk: after a power failure the file may hold anything.
class whole_file {
 public:
  /// Begins to write; whether that works shows in write and commit.
  explicit whole_file(const std::filesystem::path& path) : path_(path), written_(path) {
    std::error_code failure;
    const auto status = std::filesystem::status(path, failure);
    if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) written_ += ".partial";
    stream_.open(written_, std::ios::binary | std::ios::trunc);
    opened_ = stream_.is_open();
  }
  ~whole_file() {
    stream_.close();
    std::error_code ignored;
    if (opened_ && !complete_ && written_ != path_) std::filesystem::remove(written_, ignored);
  }
  whole_file(const whole_file&) = delete;
  whole_file& operator=(const whole_file&) = delete;

  /// False once anything could not be written; then commit will not succeed either.
  bool write(std::span<const std::byte> bytes) {
    return static_cast<bool>(
        stream_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())));
  }

  /// Writes again what was written at `at`, for headers that are known last.
  bool overwrite(std::uint64_t at, std::span<const std::byte> bytes) {
    stream_.seekp(static_cast<std::streamoff>(at));
    write(bytes);
    return static_cast<bool>(stream_.seekp(0, std::ios::end));
  }

  /// Nothing, or the complaint rwkv7::file: <path>: cannot be written.
  diagnosis commit() {
    stream_.close();
    std::error_code failure;
    if (opened_ && stream_ && written_ != path_) std::filesystem::rename(written_, path_, failure);
    complete_ = opened_ && stream_ && !failure;
    diagnosis problem;
    if (!complete_) problem.complain("rwkv7::file: %s: cannot be written", detail::shown(path_).c_str());
    return problem;
  }

 private:
  std::filesystem::path path_, written_;
  std::ofstream stream_;
  bool opened_ = false, complete_ = false;
};

}  // namespace rwkv7
