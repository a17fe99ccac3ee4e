// SPDX-License-Identifier: MIT
/// A whole file as read-only memory: mapped where the system is POSIX, read into a buffer elsewhere.
#pragma once

#include <bit>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "rwkv7/core/check.hpp"

/// 0 reads instead of mapping.
#ifndef RWKV7_MMAP
#if defined(__unix__) || defined(__APPLE__)
#define RWKV7_MMAP 1
#else
#define RWKV7_MMAP 0
#endif
#endif

#if RWKV7_MMAP
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#include <fstream>
#include <vector>
#endif

namespace rwkv7 {

static_assert(std::endian::native == std::endian::little, "rwkv7: files are little-endian and used in place");

namespace detail {
/// The end of a text from outside (a path, a tensor's name), fit for one line of an error message.
inline std::string shown(std::string_view text, std::size_t most) {
  std::string result = text.size() <= most ? std::string(text) : "..." + std::string(text.substr(text.size() - most));
  for (char& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return result;
}
inline std::string shown(const std::filesystem::path& path) {
  const auto text = path.u8string();
  return shown(std::string_view(reinterpret_cast<const char*>(text.data()), text.size()), 80);
}
}  // namespace detail

/// Move-only. Where the file is mapped, nobody may shorten it meanwhile: touching what is gone ends the program.
class file_map {
 public:
  file_map() = default;
  /// `other` is empty afterwards.
  file_map(file_map&& other) noexcept { swap(other); }
  /// `other` is empty afterwards.
  file_map& operator=(file_map&& other) noexcept {
    file_map(std::move(other)).swap(*this);
    return *this;
  }

  /// The file at `path`, or nothing and a complaint: rwkv7::file: <path>: …
  static file_map open(const std::filesystem::path& path, diagnosis& problem) {
    const auto complain = [&](const char* what) {
      problem.complain("rwkv7::file: %s: %s", detail::shown(path).c_str(), what);
      return file_map();
    };
    std::error_code failure;
    const auto status = std::filesystem::status(path, failure);
    if (!std::filesystem::exists(status)) return complain("does not exist");
    if (!std::filesystem::is_regular_file(status)) return complain("is not a regular file");
    file_map file;
    return file.acquire(path) ? std::move(file) : complain("cannot be read");
  }

  /// The whole file.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

#if RWKV7_MMAP
  ~file_map() {
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  }

 private:
  bool acquire(const std::filesystem::path& path) noexcept {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    struct stat status {};
    bool good = ::fstat(file, &status) == 0;
    if (good && status.st_size > 0) {  // an empty file cannot be mapped
      const auto size = static_cast<std::size_t>(status.st_size);
      void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
      good = memory != MAP_FAILED;
      if (good) data_ = static_cast<const std::byte*>(memory), size_ = size;
    }
    ::close(file);
    return good;
  }
  void swap(file_map& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
#else
 private:
  bool acquire(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary | std::ios::ate);
    if (!stream) return false;
    buffer_.resize(static_cast<std::size_t>(stream.tellg()));
    stream.seekg(0);
    stream.read(reinterpret_cast<char*>(buffer_.data()), static_cast<std::streamsize>(buffer_.size()));
    data_ = buffer_.data(), size_ = buffer_.size();
    return static_cast<bool>(stream);
  }
  void swap(file_map& other) noexcept {
    buffer_.swap(other.buffer_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  std::vector<std::byte> buffer_;
#endif

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace rwkv7
