// SPDX-License-Identifier: MIT
// rwkv7-test: not sanitized
// An operation runs the kernel of the executor's back end and no other: there is no hidden fallback.
#include "support/witness.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <string>
#include <type_traits>
#include <vector>

#include "support/compare.hpp"
#include "support/op_calls.hpp"
#include "support/sanitizer.hpp"

using rwkv7_test::op_sizes;
using rwkv7_test::role;
using rwkv7_test::witness;

namespace poisoned {

/// A back end whose kernels do nothing but say that they were called.
struct tag {};
struct executor {
  using backend_tag = tag;
  int calls = 0;
};

#define RWKV7_POISONED_KERNEL(op)                       \
  template <class... Operands>                          \
  void op##_kernel(tag, executor& exec, Operands&...) { \
    ++exec.calls;                                       \
  }
RWKV7_POISONED_KERNEL(bonus)
RWKV7_POISONED_KERNEL(decay_factor)
RWKV7_POISONED_KERNEL(first_residual)
RWKV7_POISONED_KERNEL(gate)
RWKV7_POISONED_KERNEL(gqa_attention)
RWKV7_POISONED_KERNEL(group_norm)
RWKV7_POISONED_KERNEL(key_update)
RWKV7_POISONED_KERNEL(layer_norm)
RWKV7_POISONED_KERNEL(linear)
RWKV7_POISONED_KERNEL(low_rank)
RWKV7_POISONED_KERNEL(readout)
RWKV7_POISONED_KERNEL(repeat_kv)
RWKV7_POISONED_KERNEL(residual_add)
RWKV7_POISONED_KERNEL(rms_norm)
RWKV7_POISONED_KERNEL(rope)
RWKV7_POISONED_KERNEL(rope_table)
RWKV7_POISONED_KERNEL(squared_relu)
RWKV7_POISONED_KERNEL(swiglu)
RWKV7_POISONED_KERNEL(token_shift)
RWKV7_POISONED_KERNEL(wkv7)
RWKV7_POISONED_KERNEL(wkv)
RWKV7_POISONED_KERNEL(import_state)
RWKV7_POISONED_KERNEL(export_state)
RWKV7_POISONED_KERNEL(flush_state)
#undef RWKV7_POISONED_KERNEL

template <class T>
rwkv7::resident_plan resident_plan_of(tag, executor&, const rwkv7::state_extents&) noexcept {
  return {"poisoned", 1, 0};
}

}  // namespace poisoned

namespace {

/// Plain memory that remembers what is written.
class memory {
 public:
  auto allocator() {
    return [this](std::size_t bytes, role what_for) -> void* {
      auto& block = (what_for == role::write ? written_ : read_).emplace_back((bytes + 3) / 4);
      return block.data();
    };
  }
  const std::deque<std::vector<float>>& written() const { return written_; }

 private:
  std::deque<std::vector<float>> read_, written_;
};

/// visit(name, call) for every operation on fresh operands.
template <class Visit>
void for_each_op(memory& m, Visit visit) {
  rwkv7_test::for_each_wkv7({}, m.allocator(), visit);
  rwkv7_test::for_each_resident_state({}, m.allocator(), visit);
  rwkv7_test::for_each_wkv({}, m.allocator(), visit);
  rwkv7_test::for_each_other_op({}, rwkv7::dtype::bf16, m.allocator(), visit);
}

bool same(const memory& x, const memory& y) {
  for (std::size_t i = 0; i < x.written().size(); ++i)
    if (!rwkv7_test::same_bits(x.written()[i], y.written()[i])) return false;
  return true;
}

}  // namespace

TEST_CASE("every operation on a CPU executor runs a CPU kernel") {
  memory m;
  witness exec;
  int operations = 0;
  for_each_op(m, [&](const std::string& name, auto call) {
    call(exec);
    CHECK_MESSAGE(exec.cpu_kernel_ran(), name);
    ++operations;
  });
  CHECK(operations == 29);
}

TEST_CASE("every operation on the reference executor runs no CPU kernel, and does not need what they need") {
  memory m;
  witness<rwkv7::backend::reference::tag> exec;  // has concurrency and bulk, to be caught if they are used
  for_each_op(m, [&](const std::string& name, auto call) {
    call(exec);
    CHECK_MESSAGE(!exec.cpu_kernel_ran(), name);
  });
  memory plain;
  rwkv7::reference_executor reference;
  for_each_op(plain, [&](const std::string&, auto call) { call(reference); });
  CHECK(same(m, plain));
}

TEST_CASE("every operation on another back end runs that one alone and leaves the outputs to it") {
  memory m, untouched;
  poisoned::executor exec;
  int operations = 0;
  for_each_op(m, [&](const std::string& name, auto call) {
    call(exec);
    CHECK_MESSAGE(exec.calls == ++operations, name);
  });
  for_each_op(untouched, [](const std::string&, auto) {});
  CHECK(same(m, untouched));
}

#if !defined(RWKV7_TEST_SANITIZER)  // which would take minutes to compile a second set of kernels
TEST_CASE("the instruction set of the executor is the one whose kernels run") {
  // Sums of other widths round otherwise, so two instruction sets that gave the same bits everywhere would be one.
  if constexpr (std::is_same_v<rwkv7::native_arch, xsimd::sse2> || !xsimd::sse2::supported()) return;
  memory narrow, native;
  witness<rwkv7::backend::cpu::tag<xsimd::sse2>> sse2;
  witness<> best;
  rwkv7_test::for_each_other_op({}, rwkv7::dtype::f32, narrow.allocator(), [&](const std::string& name, auto call) {
    call(sse2);
    CHECK_MESSAGE(sse2.cpu_kernel_ran(), name);
  });
  rwkv7_test::for_each_other_op({}, rwkv7::dtype::f32, native.allocator(),
                                [&](const std::string&, auto call) { call(best); });
  CHECK(!same(narrow, native));
}
#endif
