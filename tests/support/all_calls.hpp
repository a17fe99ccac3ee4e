// SPDX-License-Identifier: MIT
/// Every operation and block of op_calls.hpp and block_calls.hpp on the executors of the tests about all of them,
/// compiled once in all_calls_*.cpp.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rwkv7/core/dtype.hpp"
#include "rwkv7/exec/bulk.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/exec/threads.hpp"
#include "support/op_sizes.hpp"

namespace rwkv7_test {

/// A program's own pool, whichever it is: one type, so that kernels are compiled for it once.
struct any_pool {
  std::function<void(rwkv7::index_t, const std::function<void(rwkv7::index_t)>&)> run;
  template <class Task>
  void operator()(rwkv7::index_t n, Task& task) const {
    run(n, [&task](rwkv7::index_t i) { task(i); });
  }
};
using pool_executor = rwkv7::bulk_executor<any_pool>;

/// The inline executor of an instruction set that is not the build's own.
template <class Arch>
struct other_arch {
  rwkv7::basic_inline_executor<Arch> exec;
};

using any_executor = std::variant<rwkv7::inline_executor*, rwkv7::reference_executor*, rwkv7::thread_executor*,
                                  pool_executor*, other_arch<xsimd::sse2>*, other_arch<xsimd::fma3<xsimd::avx2>>*>;

struct op_call {
  std::string name;
  std::function<void(any_executor)> run;
};

/// Memory for an operand, from the test.
using allocator = std::function<void*(std::size_t bytes, role)>;

std::vector<op_call> wkv7_calls(const op_sizes&, const allocator&);
/// Not on other_arch: wkv has three times the code of wkv7, and ends its rows no differently.
std::vector<op_call> wkv_calls(const op_sizes&, const allocator&);
/// All other operations, with parameters of this type.
std::vector<op_call> other_op_calls(const op_sizes&, rwkv7::dtype, const allocator&);
std::vector<op_call> block_calls(const op_sizes&, rwkv7::dtype, const allocator&);

}  // namespace rwkv7_test
