// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
#include "rwkv7/core/processor.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

using rwkv7::processor;

namespace {

// Everything, with an operating system that saves everything. What CPUID and XGETBV say on a Zen 4, as Linux shows it.
constexpr processor everything{.leaf_1_ecx = 0x7ef8320b,
                               .leaf_7_ebx = 0xf1bf97a9,
                               .leaf_7_ecx = 0x00405fce,
                               .leaf_7_1_eax = 0x00000020,
                               .extended_1_ecx = 0x75c237ff,
                               .saved_registers = 0xe7};

processor without(std::uint32_t processor::*word, int bit) {
  processor p = everything;
  p.*word &= ~(std::uint32_t{1} << bit);
  return p;
}

}  // namespace

TEST_CASE("a processor with everything has each instruction set, and one that is unknown has none") {
  static_assert(everything.has_avx2() && everything.has_avx512() && everything.has_avx512vnni());
  constexpr processor unknown;
  CHECK(!unknown.has_avx2());
  CHECK(!unknown.has_avx512());
  CHECK(!unknown.has_avx512vnni());
}

TEST_CASE("registers that the operating system does not save are not used") {
  processor p = everything;
  p.saved_registers = 0x07;  // xmm and ymm: AVX-512 switched off
  CHECK(p.has_avx2());
  CHECK(!p.has_avx512());
  CHECK(!p.has_avx512vnni());
  p.saved_registers = 0x03;  // xmm alone
  CHECK(!p.has_avx2());
  CHECK(!p.has_avx512());
  for (const int missing : {5, 6, 7}) {
    p.saved_registers = 0xe7u & ~(1u << missing);
    CHECK(p.has_avx2());
    CHECK(!p.has_avx512());
  }
}

TEST_CASE("each extension that a unit is compiled for is asked for") {
  for (const int bit : {0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29})
    CHECK(!without(&processor::leaf_1_ecx, bit).has_avx2());
  for (const int bit : {3, 5, 8}) CHECK(!without(&processor::leaf_7_ebx, bit).has_avx512());
  for (const int bit : {16, 17, 28, 30, 31}) {
    CHECK(!without(&processor::leaf_7_ebx, bit).has_avx512());
    CHECK(without(&processor::leaf_7_ebx, bit).has_avx2());
  }
  CHECK(!without(&processor::extended_1_ecx, 5).has_avx2());
  CHECK(!without(&processor::leaf_7_ecx, 11).has_avx512vnni());
  CHECK(without(&processor::leaf_7_ecx, 11).has_avx512());
  CHECK(!without(&processor::leaf_7_1_eax, 5).has_avx512vnni());
  CHECK(without(&processor::leaf_7_1_eax, 5).has_avx512());
}

TEST_CASE("this machine has what the compiler's own check finds") {
#if defined(__x86_64__) && defined(__GNUC__)
  const auto p = processor::read();
  const bool fma_and_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  CHECK(p.has_avx2() == (fma_and_avx2 && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt")));
  CHECK(p.has_avx512() == (fma_and_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512vl")));
  if (p.has_avx512vnni()) CHECK(__builtin_cpu_supports("avx512vnni"));
#else
  CHECK(!processor::read().has_avx2());
#endif
}
