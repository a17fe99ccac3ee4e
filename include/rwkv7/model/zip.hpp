// SPDX-License-Identifier: MIT
/// Where the entries of a zip archive lie in memory; only entries that are stored as they are.
///
/// minizip reads the directory, from memory; the entries' bytes are never touched, nor their checksums computed.
#pragma once

#include <minizip/unzip.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rwkv7/core/check.hpp"

namespace rwkv7::detail {

struct zip_entry {
  std::string name;
  std::span<const std::byte> bytes;
};

/// A stream over memory, for minizip.
struct memory_stream {
  std::span<const std::byte> bytes;
  ZPOS64_T at = 0;

  static memory_stream& of(void* stream) noexcept { return *static_cast<memory_stream*>(stream); }
  zlib_filefunc64_def functions() noexcept {
    zlib_filefunc64_def f{};
    f.opaque = this;
    f.zopen64_file = [](void* self, const void*, int) { return self; };
    f.zread_file = [](void*, void* self, void* to, uLong count) {
      auto& s = of(self);
      const auto left = s.at < s.bytes.size() ? s.bytes.size() - s.at : 0;
      count = std::min<uLong>(count, left);
      if (count > 0) std::memcpy(to, s.bytes.data() + s.at, count);
      s.at += count;
      return count;
    };
    f.zwrite_file = [](void*, void*, const void*, uLong) { return uLong{0}; };
    f.ztell64_file = [](void*, void* self) { return of(self).at; };
    f.zseek64_file = [](void*, void* self, ZPOS64_T offset, int origin) {
      auto& s = of(self);
      const ZPOS64_T base = origin == ZLIB_FILEFUNC_SEEK_CUR   ? s.at
                            : origin == ZLIB_FILEFUNC_SEEK_END ? s.bytes.size()
                                                               : 0;
      if (offset > s.bytes.size() - std::min<ZPOS64_T>(base, s.bytes.size())) return -1L;
      s.at = base + offset;
      return 0L;
    };
    f.zclose_file = [](void*, void*) { return 0; };
    f.zerror_file = [](void*, void*) { return 0; };
    return f;
  }
};

/// The entries of the archive in `bytes`, or a sentence about what is wrong with it.
inline std::vector<zip_entry> zip_entries(std::span<const std::byte> bytes, std::string& problem) {
  std::vector<zip_entry> entries;
  const auto fail = [&](const std::string& what) {
    problem = what;
    return std::vector<zip_entry>();
  };
  memory_stream stream{bytes};
  auto functions = stream.functions();
  const auto close = [](void* file) { unzClose(file); };
  const std::unique_ptr<void, decltype(close)> zip(unzOpen2_64("", &functions), close);
  if (!zip) return fail("is no zip archive, or its directory is damaged");
  for (int status = unzGoToFirstFile(zip.get()); status != UNZ_END_OF_LIST_OF_FILE;
       status = unzGoToNextFile(zip.get())) {
    char name[256] = {};
    unz_file_info64 info{};
    int method = 0;
    if (status != UNZ_OK ||
        unzGetCurrentFileInfo64(zip.get(), &info, name, sizeof name, nullptr, 0, nullptr, 0) != UNZ_OK)
      return fail("the zip directory is damaged");
    if (info.size_filename >= sizeof name) return fail("an entry's name is too long");
    if (info.compression_method != 0 || (info.flag & 1) != 0 || info.compressed_size != info.uncompressed_size)
      return fail(std::string(name) + ": is compressed or encrypted, want stored");
    if (unzOpenCurrentFile2(zip.get(), &method, nullptr, 1) != UNZ_OK) return fail(std::string(name) + ": is damaged");
    const auto start = unzGetCurrentFileZStreamPos64(zip.get());
    unzCloseCurrentFile(zip.get());
    if (start > bytes.size() || info.compressed_size > bytes.size() - start)
      return fail(std::string(name) + ": is behind the end of the file");
    entries.push_back(
        {name, bytes.subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(info.compressed_size))});
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.bytes.data() < b.bytes.data(); });
  for (std::size_t i = 1; i < entries.size(); ++i)
    if (entries[i - 1].bytes.data() + entries[i - 1].bytes.size() > entries[i].bytes.data())
      return fail(entries[i].name + ": overlaps " + entries[i - 1].name);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < entries.size(); ++i)
    if (entries[i - 1].name == entries[i].name) return fail(entries[i].name + ": occurs twice");
  return entries;
}

}  // namespace rwkv7::detail
