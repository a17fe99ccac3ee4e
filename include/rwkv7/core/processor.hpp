// SPDX-License-Identifier: MIT
/// What the processor and the operating system can do together. A processor that has AVX-512 is no use while the
/// operating system does not save its registers, so CPUID alone does not tell.
#pragma once

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

namespace rwkv7 {

namespace detail {
template <class... Positions>
constexpr std::uint32_t bits(Positions... positions) noexcept {
  return ((std::uint32_t{1} << positions) | ...);
}
constexpr bool all(std::uint64_t word, std::uint32_t wanted) noexcept { return (word & wanted) == wanted; }
}  // namespace detail

/// The answers of CPUID and XGETBV that matter here; all 0 where the processor is no x86-64.
struct processor {
  std::uint32_t leaf_1_ecx = 0;       // SSE3 to F16C, OSXSAVE
  std::uint32_t leaf_7_ebx = 0;       // BMI, AVX2, AVX-512
  std::uint32_t leaf_7_ecx = 0;       // AVX512-VNNI
  std::uint32_t leaf_7_1_eax = 0;     // AVX512-BF16
  std::uint32_t extended_1_ecx = 0;   // LZCNT
  std::uint64_t saved_registers = 0;  // XCR0: what the operating system saves

  /// All of x86-64-v3: AVX2, FMA, F16C, BMI and what is older.
  constexpr bool has_avx2() const noexcept {
    // SSE3 SSSE3 FMA CMPXCHG16B SSE4.1 SSE4.2 MOVBE POPCNT OSXSAVE AVX F16C
    constexpr std::uint32_t in_leaf_1 = detail::bits(0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29);
    return detail::all(leaf_1_ecx, in_leaf_1) && detail::all(leaf_7_ebx, detail::bits(3, 5, 8)) &&
           detail::all(extended_1_ecx, detail::bits(0, 5)) &&
           detail::all(saved_registers, detail::bits(1, 2));  // xmm, ymm
  }
  /// All of x86-64-v4: AVX-512 F, DQ, CD, BW, VL and AVX2.
  constexpr bool has_avx512() const noexcept {
    return has_avx2() && detail::all(leaf_7_ebx, detail::bits(16, 17, 28, 30, 31)) &&
           detail::all(saved_registers, detail::bits(5, 6, 7));
  }
  /// AVX-512 with VNNI and BF16.
  constexpr bool has_avx512vnni() const noexcept {
    return has_avx512() && detail::all(leaf_7_ecx, detail::bits(11)) && detail::all(leaf_7_1_eax, detail::bits(5));
  }

  /// That of the calling thread.
  static processor read() noexcept {
    processor p;
#if defined(__x86_64__) && defined(__GNUC__)
    std::uint32_t a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d)) p.leaf_1_ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
      p.leaf_7_ebx = b, p.leaf_7_ecx = c;
      if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) p.leaf_7_1_eax = a;
    }
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) p.extended_1_ecx = c;
    if (detail::all(p.leaf_1_ecx, detail::bits(27))) {  // OSXSAVE: else XGETBV is no instruction
      __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
      p.saved_registers = (std::uint64_t{d} << 32) | a;
    }
#endif
    return p;
  }
};

}  // namespace rwkv7
