// SPDX-License-Identifier: MIT
/// From an operation to the kernel of the executor's back end.
#pragma once

#include <concepts>
#include <type_traits>

#include "rwkv7/core/dtype.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/prechecked.hpp"

namespace rwkv7 {

namespace detail {

/// kernel(tag, exec, args…) for the executor's back end, or a sentence at compile time.
template <class T, class Kernel, class Exec, class... Args>
void launch(Kernel kernel, Exec& exec, Args&... args) {
  static_assert(activation_element<T>, "rwkv7: activations are float, double, bf16 or f16");
  // What units for several architectures hold is what the cpu back end has.
  constexpr bool dispatched = std::is_same_v<backend_tag_of<Exec>, backend::dispatch::tag>;
  using target = std::conditional_t<dispatched, inline_executor, Exec>;
  constexpr bool found = std::invocable<Kernel, backend_tag_of<target>, target&, Args&...>;
  static_assert(found,
                "rwkv7: this executor has no kernel of this operation for this element type; see "
                "backend/<name>/<operation>.hpp");
  if constexpr (found && dispatched)
    exec.run(args...);
  else if constexpr (found)
    kernel(backend_tag_of<Exec>{}, exec, args...);
}
template <class T, class Kernel, class Exec, class... Args>
void launch(Kernel kernel, prechecked<Exec>& inside, Args&... args) {
  launch<T>(kernel, inside.exec, args...);
}

}  // namespace detail
}  // namespace rwkv7
