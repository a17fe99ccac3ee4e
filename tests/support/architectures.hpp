// SPDX-License-Identifier: MIT
/// Every instruction set whose registers this build may use, for tests of registers.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "rwkv7/core/arch.hpp"

namespace rwkv7_test {

/// f(Arch{}) for each; without -march that is SSE2 alone on x86-64.
template <class F>
void for_each_architecture(F&& f) {
  const auto on = [&]<class Arch>(Arch arch) {
    if constexpr (Arch::supported()) {
      INFO("instruction set ", std::string(Arch::name()));
      f(arch);
    }
  };
  on(xsimd::sse2{});
  on(xsimd::sse4_2{});
  on(xsimd::avx{});
  on(xsimd::avx2{});
  on(xsimd::fma3<xsimd::avx2>{});
  on(xsimd::avx512f{});
  on(xsimd::avx512bw{});
  if constexpr (!xsimd::sse2::supported()) on(rwkv7::native_arch{});
}

}  // namespace rwkv7_test
