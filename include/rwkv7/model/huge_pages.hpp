// SPDX-License-Identifier: MIT
/// Memory for the parameters of a model, in huge pages where the system has them (Linux).
///
/// A token reads every parameter once, and where each page of 4 KiB must be looked up that takes longer: the decode
/// step of a 0.1B model in int8 or int4 14 to 24 % with one thread, 9 to 23 % with two (Zen 5, two runs in turn).
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace rwkv7 {

/// Move-only. What it holds is not initialised.
class huge_page_memory {
 public:
  /// Of one huge page, and the alignment.
  static constexpr std::size_t page = std::size_t{2} << 20;

  /// Empty.
  huge_page_memory() = default;
  /// So many bytes. Where the system has no huge pages to give, they are ordinary ones. Errors: as operator new.
  explicit huge_page_memory(std::size_t size)
      : data_(static_cast<std::byte*>(::operator new (size, std::align_val_t{page}))), size_(size) {
#if defined(__linux__)
    ::madvise(data_.get(), size, MADV_HUGEPAGE);  // a wish
#endif
  }

  /// All of it: what language_model::pack takes. Nothing after a move.
  std::span<std::byte> bytes() const noexcept { return {data_.get(), data_ ? size_ : 0}; }

 private:
  struct free {
    void operator()(std::byte* p) const noexcept { ::operator delete (p, std::align_val_t{page}); }
  };
  std::unique_ptr<std::byte, free> data_;
  std::size_t size_ = 0;
};

}  // namespace rwkv7
