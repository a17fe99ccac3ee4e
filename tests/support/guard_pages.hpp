// SPDX-License-Identifier: MIT
/// Memory between two pages that may not be touched: one element too far, in either direction, ends the program.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <utility>
#include <vector>

namespace rwkv7_test {

enum class guard { before, after };

class guarded_memory {
 public:
  explicit guarded_memory(guard where) : where_(where) {}
  ~guarded_memory() {
    for (const auto& [base, size] : mapped_) munmap(base, size);
  }
  guarded_memory(const guarded_memory&) = delete;
  guarded_memory& operator=(const guarded_memory&) = delete;

  /// `bytes` bytes that begin right behind a forbidden page, or end right before one.
  void* allocate(std::size_t bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t inner = (bytes + page - 1) / page * page, size = inner + 2 * page;
    void* base = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) std::abort();
    auto* first = static_cast<std::byte*>(base) + page;
    if (inner > 0 && mprotect(first, inner, PROT_READ | PROT_WRITE) != 0) std::abort();
    mapped_.emplace_back(base, size);
    return where_ == guard::before ? first : first + (inner - bytes);
  }
  template <class T>
  T* allocate_array(std::size_t n) {
    return static_cast<T*>(allocate(n * sizeof(T)));
  }

 private:
  guard where_;
  std::vector<std::pair<void*, std::size_t>> mapped_;
};

}  // namespace rwkv7_test
