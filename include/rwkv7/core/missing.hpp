// SPDX-License-Identifier: MIT
/// Forgotten operands are compile errors at their own brace.
#pragma once

#include <cstddef>

namespace rwkv7::detail {

/// The name of an operand as a template argument, so that the compiler's message shows it.
template <std::size_t Size>
struct operand_name {
  char text[Size];
  constexpr operand_name(const char (&name)[Size]) noexcept {
    for (std::size_t i = 0; i < Size; ++i) text[i] = name[i];
  }
};

/// Stands in for any operand where one is missing.
struct no_operand {
  template <class Operand>
  operator Operand() const;
};

/// The default initialiser of a required member: whoever leaves the member out instantiates this. Depends on the
/// element type T so that a compiler does not look at it before.
template <class T, operand_name Name>
constexpr no_operand missing() {
  static_assert(sizeof(T) == 0, "rwkv7: a required operand was not given; the template argument Name says which");
  return {};
}

}  // namespace rwkv7::detail
