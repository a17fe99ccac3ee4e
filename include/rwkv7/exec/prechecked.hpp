// SPDX-License-Identifier: MIT
/// Checks operands once, where a call comes in, and not again at each operation inside.
#pragma once

#include <type_traits>

#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/executor.hpp"

namespace rwkv7::detail {

/// The executor of the operations inside a block, which has checked what they need before the first of them writes:
/// they do not check. In a build with assertions (no NDEBUG) they do, so that tests find what a block forgot.
///
/// In a model whose layers are 64 wide the checks would take as long as the products.
template <executor Exec>
struct prechecked {
  using backend_tag = backend_tag_of<Exec>;
  Exec& exec;

  explicit prechecked(Exec& e) noexcept : exec(e) {}
};

template <class Exec>
inline constexpr bool is_prechecked = false;
template <class Exec>
inline constexpr bool is_prechecked<prechecked<Exec>> = true;

/// What `validate` says, or nothing where it has been asked before.
template <class Exec, class Validate>
diagnosis problem_of(const Exec&, Validate validate) noexcept {
#if defined(NDEBUG)
  if constexpr (is_prechecked<Exec>) return {};
#endif
  return validate();
}

}  // namespace rwkv7::detail
