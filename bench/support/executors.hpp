// SPDX-License-Identifier: MIT
/// Who runs the rows: one thread and two, on the kernels that --cpu names or the best ones.
#pragma once

#include <memory>
#include <string_view>

#include "rwkv7/exec/dispatch.hpp"
#include "rwkv7/exec/spin.hpp"

namespace rwkv7_bench {

using one_thread_executor = rwkv7::dispatch_executor<>;
using two_thread_executor = rwkv7::dispatch_executor<rwkv7::spin_executor>;

inline const std::shared_ptr<one_thread_executor>& one_thread() {
  static const auto exec = std::make_shared<one_thread_executor>();
  return exec;
}
inline const std::shared_ptr<two_thread_executor>& two_threads() {
  static const auto exec = std::make_shared<two_thread_executor>(rwkv7::spin_executor(2));
  return exec;
}
/// For all rows, those too that exist already.
inline void use_kernels(std::string_view name) {
  *one_thread() = one_thread_executor(name);
  *two_threads() = two_thread_executor(rwkv7::spin_executor(2), name);
}

}  // namespace rwkv7_bench
