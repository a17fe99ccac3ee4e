// SPDX-License-Identifier: MIT
/// Counts what any thread asks of operator new and of malloc. To be included in one file of a program: it replaces
/// both.
///
/// Under a sanitizer, which must keep its own, the sanitizer's hook counts both as malloc.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "support/sanitizer.hpp"

namespace rwkv7_test {

class allocation_counter {
 public:
  /// Calls on all threads while an `armed` lives.
  struct armed {
    armed() {
      news = mallocs = 0;
      counting = true;
    }
    ~armed() { counting = false; }
  };
  static long new_calls() { return news; }
  static long malloc_calls() { return mallocs; }

  static void* count_new(void* p) noexcept {
    if (counting) ++news;
    return p;
  }
  static void count_malloc() noexcept {
    if (counting) ++mallocs;
  }

 private:
  static inline std::atomic<bool> counting = false;
  static inline std::atomic<long> news = 0, mallocs = 0;
};

}  // namespace rwkv7_test

#if defined(RWKV7_TEST_SANITIZER)

#include <sanitizer/allocator_interface.h>
namespace rwkv7_test {
inline constexpr bool counts_malloc = true, counts_new = false;
#if defined(RWKV7_TEST_THREAD_SANITIZER)
inline constexpr bool counts_aligned_alloc = false;  // its hook is not told of aligned_alloc and posix_memalign
#else
inline constexpr bool counts_aligned_alloc = true;
#endif
inline const int installed_hooks = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { allocation_counter::count_malloc(); }, [](const volatile void*) {});
}  // namespace rwkv7_test

#else

namespace rwkv7_test {
inline constexpr bool counts_new = true;
#if defined(__GLIBC__)
inline constexpr bool counts_malloc = true, counts_aligned_alloc = true;
#else
inline constexpr bool counts_malloc = false, counts_aligned_alloc = false;
#endif
}  // namespace rwkv7_test

#if defined(__GLIBC__)
// The same functions under the names that glibc keeps for those who replace the public ones.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t n) noexcept {
  rwkv7_test::allocation_counter::count_malloc();
  return __libc_malloc(n);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  rwkv7_test::allocation_counter::count_malloc();
  return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t n) noexcept {
  rwkv7_test::allocation_counter::count_malloc();
  return __libc_realloc(p, n);
}
void* memalign(std::size_t alignment, std::size_t n) noexcept {
  rwkv7_test::allocation_counter::count_malloc();
  return __libc_memalign(alignment, n);
}
void* aligned_alloc(std::size_t alignment, std::size_t n) noexcept { return memalign(alignment, n); }
int posix_memalign(void** p, std::size_t alignment, std::size_t n) noexcept {
  *p = memalign(alignment, n);
  return *p ? 0 : 12;  // ENOMEM
}
}
#endif

// The other forms of operator new and delete call these. Not inlined, or g++ would warn that free meets a pointer of
// new.
[[gnu::noinline]] void* operator new(std::size_t n) {
  if (void* p = rwkv7_test::allocation_counter::count_new(std::malloc(n > 0 ? n : 1))) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t alignment) {
  const auto a = static_cast<std::size_t>(alignment);
  if (void* p = rwkv7_test::allocation_counter::count_new(std::aligned_alloc(a, (n + a - 1) / a * a))) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

#endif
