// SPDX-License-Identifier: MIT
/// How all_calls_*.cpp compile a call for every executor.
#pragma once

#include <type_traits>

#include "support/all_calls.hpp"
#include "support/sanitizer.hpp"

namespace rwkv7_test {

template <class T>
inline constexpr bool is_other_arch = false;
template <class Arch>
inline constexpr bool is_other_arch<other_arch<Arch>> = true;

/// A visitor that collects calls. Under a sanitizer a second instruction set would take minutes to compile.
template <bool OtherArchs>
auto collect(std::vector<op_call>& calls) {
  return [&calls](const std::string& name, auto call) {
    const auto run = [call](auto* exec) {
      using executor = std::remove_pointer_t<decltype(exec)>;
      if constexpr (!is_other_arch<executor>) {
        call(*exec);
#if !defined(RWKV7_TEST_SANITIZER)
      } else if constexpr (OtherArchs) {
        using arch = typename decltype(exec->exec)::backend_tag::arch;
        if constexpr (arch::supported() && !std::is_same_v<arch, rwkv7::native_arch>) call(exec->exec);
#endif
      }
    };
    calls.push_back({name, [run](any_executor exec) { std::visit(run, exec); }});
  };
}

}  // namespace rwkv7_test
