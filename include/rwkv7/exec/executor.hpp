// SPDX-License-Identifier: MIT
/// Executors say where work runs: which back end's kernels, on whose threads.
///
/// An operation finds its kernel by overload resolution on the executor's `backend_tag`: `<op>_kernel(tag, exec, …)` in
/// the tag's own namespace. A new back end is a tag, an executor and the kernels it has; nothing is registered.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "rwkv7/core/config.hpp"

namespace rwkv7 {

namespace backend::reference {
/// Plain loops in double: the executable definition.
struct tag {};
}  // namespace backend::reference

namespace backend::cpu {
/// SIMD kernels for one instruction set.
template <class Arch>
struct tag {
  using arch = Arch;  // one of xsimd's
};
}  // namespace backend::cpu

namespace backend::dispatch {
/// The cpu back end for an instruction set that is chosen at run time: exec/dispatch.hpp.
struct tag {};
}  // namespace backend::dispatch

/// The tag by which operations find the kernels of an executor.
template <class E>
using backend_tag_of = typename std::remove_cvref_t<E>::backend_tag;

/// Nanoseconds that a call of bulk costs beside its tasks: what the executor says, or what waking a pool takes.
template <class E>
RWKV7_INLINE constexpr index_t fork_cost_of(const E& exec) noexcept {
  if constexpr (requires { exec.fork_cost(); })
    return exec.fork_cost();
  else
    return 6000;
}

namespace detail {
template <class Tag>
inline constexpr bool is_cpu_tag = false;
template <class Arch>
inline constexpr bool is_cpu_tag<backend::cpu::tag<Arch>> = true;

/// Stands for "any task" where a concept must name one.
struct any_task {
  void operator()(index_t) const noexcept;
};
}  // namespace detail

template <class E>
concept executor = requires {
  typename backend_tag_of<E>;
};

/// Runs tasks on CPU threads.
///   bulk(n, f)      calls f(i) once for every i in [0, n), in any order, perhaps at once; returns when all are done
///   concurrency()   how many calls may run at once; a hint for splitting, never for the result
///   fork_cost()     if there: nanoseconds that handing out tasks costs. Smaller work stays on the calling thread
template <class E>
concept cpu_executor = executor<E> && detail::is_cpu_tag<backend_tag_of<E>> &&
    requires(std::remove_reference_t<E>& e, index_t n, detail::any_task f) {
  e.bulk(n, f);
  { e.concurrency() } -> std::convertible_to<index_t>;
};

}  // namespace rwkv7
