// SPDX-License-Identifier: MIT
/// Writes .pth files that torch.load reads: a dictionary of tensors in a zip archive, each in a storage of its own.
#pragma once

#include <minizip/zip.h>

#include <string>

#include "rwkv7/model/tensor.hpp"
#include "rwkv7/model/whole_file.hpp"

namespace rwkv7 {

namespace detail {

/// A zip archive of stored entries in a whole_file, each entry's bytes on a multiple of 64.
class zip_writer {
 public:
  explicit zip_writer(const std::filesystem::path& path) : file_(path) {
    zlib_filefunc64_def f{};
    f.opaque = this;
    f.zopen64_file = [](void* self, const void*, int) { return self; };
    f.zread_file = [](void*, void*, void*, uLong) { return uLong{0}; };
    f.zwrite_file = [](void*, void* self, const void* from, uLong count) { return of(self).write(from, count); };
    f.ztell64_file = [](void*, void* self) { return of(self).at_; };
    f.zseek64_file = [](void*, void* self, ZPOS64_T offset, int origin) {
      auto& w = of(self);
      w.at_ = offset + (origin == ZLIB_FILEFUNC_SEEK_CUR ? w.at_ : origin == ZLIB_FILEFUNC_SEEK_END ? w.size_ : 0);
      return 0L;
    };
    f.zclose_file = [](void*, void*) { return 0; };
    f.zerror_file = [](void*, void*) { return 0; };
    zip_ = zipOpen2_64("", APPEND_STATUS_CREATE, nullptr, &f);
  }
  ~zip_writer() {
    if (zip_) zipClose(zip_, nullptr);
  }
  zip_writer(const zip_writer&) = delete;
  zip_writer& operator=(const zip_writer&) = delete;

  void add(const std::string& name, std::span<const std::byte> bytes) {
    // A local header of 30 bytes, the name and, for large entries, 20 of zip64 stand before the bytes; an extra field
    // of zeros, which torch calls FB too, fills up.
    const bool large = bytes.size() >= 0xffffffffu;
    const auto before = size_ + 30 + name.size() + (large ? 20 : 0) + 4;
    std::string extra(4 + (64 - before % 64) % 64, '\0');
    extra[0] = 'F', extra[1] = 'B', extra[2] = static_cast<char>(extra.size() - 4);
    const zip_fileinfo info{};
    good_ = good_ && zip_ &&
            zipOpenNewFileInZip4_64(zip_, name.c_str(), &info, extra.data(), static_cast<uInt>(extra.size()), nullptr,
                                    0, nullptr, 0, 0, 0, -MAX_WBITS, DEF_MEM_LEVEL, Z_DEFAULT_STRATEGY, nullptr, 0, 0,
                                    0, large) == ZIP_OK;
    for (constexpr std::size_t piece = 1u << 30; good_ && !bytes.empty();) {  // minizip counts in 32 bits
      const auto part = bytes.first(std::min(piece, bytes.size()));
      good_ = zipWriteInFileInZip(zip_, part.data(), static_cast<unsigned>(part.size())) == ZIP_OK;
      bytes = bytes.subspan(part.size());
    }
    good_ = good_ && zipCloseFileInZip(zip_) == ZIP_OK;
  }
  /// Nothing, or what whole_file complains about.
  diagnosis commit(const std::filesystem::path& path) {
    good_ = zip_ && zipClose(zip_, nullptr) == ZIP_OK && good_;
    zip_ = nullptr;
    if (good_) return file_.commit();
    diagnosis problem;
    problem.complain("rwkv7::file: %s: cannot be written", shown(path).c_str());
    return problem;
  }

 private:
  static zip_writer& of(void* self) noexcept { return *static_cast<zip_writer*>(self); }
  /// minizip leaks where a write fails, so it does not hear of it: commit tells.
  uLong write(const void* from, uLong count) {
    const std::span bytes(static_cast<const std::byte*>(from), count);
    at_ == size_ ? file_.write(bytes) : file_.overwrite(at_, bytes);
    at_ += count;
    size_ = std::max(size_, at_);
    return count;
  }

  whole_file file_;
  zipFile zip_ = nullptr;
  ZPOS64_T at_ = 0, size_ = 0;
  bool good_ = true;
};

/// data.pkl for tensors whose storages are numbered in their order.
class pickle_writer {
 public:
  static std::string of(const std::vector<stored_tensor>& tensors) {
    pickle_writer w;
    w.code_ = "\x80\x02}(";  // protocol 2, a dictionary, a mark
    for (std::size_t i = 0; i < tensors.size(); ++i) w.tensor(tensors[i], i);
    return w.code_ + "u.";
  }

 private:
  void tensor(const stored_tensor& t, std::size_t storage_key) {
    text(t.name);
    code_ += "ctorch._utils\n_rebuild_tensor_v2\n((";
    text("storage");
    code_ += "ctorch\n" + std::string(storage_class(written_type(t, false))) + "Storage\n";
    text(std::to_string(storage_key));
    text("cpu");
    number(t.size());
    code_ += "tQK";  // the storage; offset 0
    code_.push_back('\0');
    tuple(t.shape);
    tuple(dense_strides(t.shape));
    code_ +=
        "\x89"
        "ccollections\nOrderedDict\n)RtR";  // no gradient, no hooks
  }
  void text(std::string_view s) {
    const auto size = static_cast<std::uint32_t>(s.size());
    code_ += 'X';
    code_.append(reinterpret_cast<const char*>(&size), sizeof size).append(s);
  }
  void number(index_t n) {
    code_ += "\x8a\x08";
    code_.append(reinterpret_cast<const char*>(&n), sizeof n);
  }
  void tuple(const std::vector<index_t>& numbers) {
    code_ += '(';
    for (const index_t n : numbers) number(n);
    code_ += 't';
  }
  static std::string_view storage_class(storage type) noexcept {
    return type == storage::f16    ? "Half"
           : type == storage::bf16 ? "BFloat16"
           : type == storage::f64  ? "Double"
                                   : "Float";
  }
  std::string code_;
};

}  // namespace detail

/// Writes the tensors in their order, each as it is; a strided one in row-major order, blocks as f32. The file is
/// complete or not there. Complains about an element type other than F32, F16, BF16 and F64, and where the file cannot
/// be written. `each(bytes)` is called as data are written.
template <class Each>
diagnosis write_pth(const std::filesystem::path& path, const std::vector<stored_tensor>& tensors, Each&& each) {
  diagnosis problem;
  for (const auto& tensor : tensors)
    if (written_type(tensor, false) > storage::f64)
      problem.complain("rwkv7::pth: %s: %s: has no place in this format: %s", detail::shown(path).c_str(),
                       detail::shown(tensor.name, 60).c_str(), std::string(traits_of(tensor.type).name).c_str());
  if (problem) return problem;
  detail::zip_writer zip(path);
  const std::string code = detail::pickle_writer::of(tensors);
  zip.add("archive/data.pkl", std::as_bytes(std::span(code)));
  zip.add("archive/byteorder", std::as_bytes(std::span("little", 6)));
  for (std::size_t i = 0; i < tensors.size(); ++i)
    for_written_bytes(tensors[i], false, [&](std::span<const std::byte> bytes) {
      zip.add("archive/data/" + std::to_string(i), bytes);
      each(bytes.size());
    });
  zip.add("archive/version", std::as_bytes(std::span("3\n", 2)));
  return zip.commit(path);
}

}  // namespace rwkv7
