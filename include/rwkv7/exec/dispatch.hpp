// SPDX-License-Identifier: MIT
/// Runs with the best kernels that the program holds and this machine can use.
///
/// Built for any x86-64, a program computes with SSE2. rwkv7_add_cpu_dispatch (cmake/CpuDispatch.cmake) adds kernels
/// for newer processors to one of its targets. This executor runs them, on the threads of another one:
///
///   rwkv7::dispatch_executor exec(rwkv7::thread_executor(4));
///
/// Programs that use it compile no kernel of their own. Without such a target they do not link: the symbols that
/// `backend::dispatch::operation` declares are missing.
#pragma once

#include <cstdio>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/exec/inline.hpp"

namespace rwkv7 {

/// A set of kernels that the program holds.
struct dispatch_unit {
  const char* name;  // as rwkv7_add_cpu_dispatch calls it: "avx2"
  bool usable;       // by this processor and operating system
};

namespace backend::dispatch {

/// Any executor's threads, in one type, so that kernels are compiled for it alone.
struct any_threads {
  /// The executor itself.
  void* executor;
  /// Its bulk: call(task, i) for every i in [0, n).
  void (*bulk)(void* executor, index_t n, void* task, void (*call)(void* task, index_t i));
  /// How many calls may run at once.
  index_t concurrency;
  /// What handing out tasks costs, in nanoseconds.
  index_t fork_cost;

  /// Borrows an executor.
  template <class Exec>
  static any_threads of(Exec& exec) noexcept {
    return {const_cast<void*>(static_cast<const void*>(&exec)),
            [](void* self, index_t n, void* task, void (*call)(void*, index_t)) {
              static_cast<Exec*>(self)->bulk(n, [=](index_t i) { call(task, i); });
            },
            exec.concurrency(), fork_cost_of(exec)};
  }
};

/// The operation with operands of these types, in each of the program's units. backend/cpu/dispatch.hpp defines it.
template <class... Operands>
struct operation {
  /// In the unit of this number.
  static void run(std::size_t unit, const any_threads& threads, const Operands&... operands);
};

/// The units of the program, the worst first. One whose units have another RWKV7_MAX_HEAD_SIZE does not link.
template <index_t MaxHeadSize>
struct program {
  /// See rwkv7::dispatch_units().
  static std::span<const dispatch_unit> units() noexcept;
};

}  // namespace backend::dispatch

/// What the program holds, the worst first.
inline std::span<const dispatch_unit> dispatch_units() noexcept {
  return backend::dispatch::program<max_head_size>::units();
}

/// Why these kernels cannot be used, or nothing. "" stands for the best ones.
inline diagnosis validate_dispatch(std::string_view name) noexcept {
  diagnosis problem;
  bool held = false;
  char usable[96] = "";
  std::size_t length = 0;
  for (const auto& unit : dispatch_units()) {
    held = held || unit.name == name;
    if (!unit.usable) continue;
    if (unit.name == name) return problem;
    length += static_cast<std::size_t>(
        std::snprintf(usable + length, sizeof usable - length, "%s%s", length > 0 ? ", " : "", unit.name));
  }
  if (length == 0)
    problem.complain("rwkv7::dispatch_executor: this processor can use none of the program's kernels");
  else if (!name.empty())
    problem.complain("rwkv7::dispatch_executor: %s '%.*s', want one of: %s",
                     held ? "this processor has no" : "the program holds no",
                     name.size() < 40 ? static_cast<int>(name.size()) : 40, name.data(), usable);
  return problem;
}

/// Kernels of the program's choice or yours, on the calling thread or on those of another executor, whose own kernels
/// do not matter. An executor given by name is borrowed and must outlive this one; a temporary is kept.
///
/// Errors: rwkv7::error where validate_dispatch complains. Without exceptions, if the handler returns, the best kernels
/// that can be used are taken. Cost of the choice: two indirect calls per operation.
template <cpu_executor Threads = inline_executor>
class dispatch_executor {
 public:
  using backend_tag = backend::dispatch::tag;

  /// On the calling thread, with the best kernels or the named ones.
  explicit dispatch_executor(std::string_view kernels = {}) requires(std::is_same_v<Threads, inline_executor>)
      : threads_(), unit_(choose(kernels)) {}
  /// On the threads of another executor.
  explicit dispatch_executor(Threads&& threads, std::string_view kernels = {})
      : threads_(std::forward<Threads>(threads)), unit_(choose(kernels)) {}

  /// The name of the kernels: "avx2".
  const char* name() const noexcept { return dispatch_units()[unit_].name; }
  /// That of the other executor.
  index_t concurrency() const noexcept { return threads_.concurrency(); }

  /// For operations: the one whose operands have these types.
  template <class... Operands>
  void run(const Operands&... operands) {
    backend::dispatch::operation<Operands...>::run(unit_, backend::dispatch::any_threads::of(threads_), operands...);
  }
  /// Likewise, where the other executor may be const.
  template <class... Operands>
  void run(const Operands&... operands) const requires(cpu_executor<const Threads>) {
    backend::dispatch::operation<Operands...>::run(unit_, backend::dispatch::any_threads::of(threads_), operands...);
  }

 private:
  static std::size_t choose(std::string_view name) {
    if (const auto problem = validate_dispatch(name)) {
      report(problem);
      name = {};
    }
    std::size_t best = 0;
    const auto units = dispatch_units();
    for (std::size_t i = 0; i < units.size(); ++i)
      if (units[i].usable && (name.empty() || name == units[i].name)) best = i;
    return best;
  }

  Threads threads_;
  std::size_t unit_;
};

/// Borrows what has a name, keeps what has none.
template <cpu_executor Threads>
dispatch_executor(Threads&&) -> dispatch_executor<Threads>;
/// Borrows what has a name, keeps what has none.
template <cpu_executor Threads>
dispatch_executor(Threads&&, std::string_view) -> dispatch_executor<Threads>;

}  // namespace rwkv7
