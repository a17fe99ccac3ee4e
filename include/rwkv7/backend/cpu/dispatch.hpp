// SPDX-License-Identifier: MIT
/// The kernels of one architecture in a unit of their own, and the choice between such units: what the files that
/// rwkv7_add_cpu_dispatch writes include. Programs include exec/dispatch.hpp.
///
/// Such a unit is compiled for a processor that the program may not meet. So everything it leaves for the linker must
/// say which one: its architecture is a type of its own, which no other unit has, and what is no template over the
/// architecture is forced inline (tests/dispatch holds it to that).
#pragma once

#include "rwkv7/backend/cpu/bonus.hpp"
#include "rwkv7/backend/cpu/decay_factor.hpp"
#include "rwkv7/backend/cpu/first_residual.hpp"
#include "rwkv7/backend/cpu/gate.hpp"
#include "rwkv7/backend/cpu/gqa_attention.hpp"
#include "rwkv7/backend/cpu/group_norm.hpp"
#include "rwkv7/backend/cpu/key_update.hpp"
#include "rwkv7/backend/cpu/layer_norm.hpp"
#include "rwkv7/backend/cpu/linear.hpp"
#include "rwkv7/backend/cpu/low_rank.hpp"
#include "rwkv7/backend/cpu/readout.hpp"
#include "rwkv7/backend/cpu/repeat_kv.hpp"
#include "rwkv7/backend/cpu/resident_state.hpp"
#include "rwkv7/backend/cpu/residual_add.hpp"
#include "rwkv7/backend/cpu/rms_norm.hpp"
#include "rwkv7/backend/cpu/rope.hpp"
#include "rwkv7/backend/cpu/rope_table.hpp"
#include "rwkv7/backend/cpu/squared_relu.hpp"
#include "rwkv7/backend/cpu/swiglu.hpp"
#include "rwkv7/backend/cpu/token_shift.hpp"
#include "rwkv7/backend/cpu/wkv7.hpp"
#include "rwkv7/core/processor.hpp"
#include "rwkv7/exec/dispatch.hpp"

// clang-format off
// Every operation on elements T: its name, and the types of its operands in their order. What is missing here does not
// link.
#define RWKV7_DISPATCHED_OPERATIONS(operation, T)                                                                     \
  operation(bonus, bonus_inputs<T>, view<T, 4>)                                                                       \
  operation(decay_factor, decay_factor_inputs<T>, view<T, 4>)                                                         \
  operation(first_residual, first_residual_inputs<T>, view<T, 4>)                                                     \
  operation(gate, gate_inputs<T>, view<T, 3>)                                                                         \
  operation(gqa_attention, sequences, sequences, gqa_attention_inputs<T>, view<T, 4>)                                 \
  operation(gqa_attention, sequences, gqa_attention_inputs<T>, view<T, 4>, kv_cache<T>)                               \
  operation(group_norm, group_norm_inputs<T>, view<T, 4>)                                                             \
  operation(key_update, key_update_inputs<T>, key_update_outputs<T>)                                                  \
  operation(layer_norm, layer_norm_inputs<T>, view<T, 3>)                                                             \
  operation(linear, linear_inputs<T>, view<T, 3>)                                                                     \
  operation(low_rank, low_rank_inputs<T>, low_rank_outputs<T>)                                                        \
  operation(readout, readout_inputs<T>, view<T, 4>)                                                                   \
  operation(repeat_kv, repeat_kv_inputs<T>, view<T, 4>)                                                               \
  operation(residual_add, residual_add_inputs<T>, view<T, 3>)                                                         \
  operation(rms_norm, rms_norm_inputs<T>, view<T, 4>)                                                                 \
  operation(rope, rope_inputs<T>, view<T, 4>)                                                                         \
  operation(squared_relu, squared_relu_inputs<T>, view<T, 3>)                                                         \
  operation(swiglu, swiglu_inputs<T>, view<T, 3>)                                                                     \
  RWKV7_DISPATCHED_TOKEN_SHIFT(operation, T, 1)                                                                       \
  RWKV7_DISPATCHED_TOKEN_SHIFT(operation, T, 2)                                                                       \
  RWKV7_DISPATCHED_TOKEN_SHIFT(operation, T, 3)                                                                       \
  RWKV7_DISPATCHED_TOKEN_SHIFT(operation, T, 4)                                                                       \
  RWKV7_DISPATCHED_TOKEN_SHIFT(operation, T, 5)                                                                       \
  RWKV7_DISPATCHED_TOKEN_SHIFT(operation, T, 6)                                                                       \
  RWKV7_DISPATCHED_RECURRENCES(operation, T, compute_type<T>)
#define RWKV7_DISPATCHED_TOKEN_SHIFT(operation, T, mixes)                                                             \
  operation(token_shift, sequences, token_shift_inputs<T, mixes>, token_shift_outputs<T, mixes>,                      \
            shift_state<compute_type<T>>)
#define RWKV7_DISPATCHED_RECURRENCES(operation, T, S)                                                                 \
  operation(wkv7, sequences, wkv7_inputs<T>, view<T, 4>, state<S>)                                                    \
  operation(wkv, sequences, wkv_inputs<T, read_policy::after>, view<T, 4>, state<S>)                                  \
  operation(wkv, sequences, wkv_inputs<T, read_policy::before>, view<T, 4>, state<S>)                                 \
  operation(wkv, sequences, wkv_inputs<T, read_policy::before_bonus>, view<T, 4>, state<S>)
#define RWKV7_DISPATCHED_RESIDENT_STATE(operation, T)                                                                 \
  operation(import_state, view<const T, 4>, resident_state<T>, index_list)                                            \
  operation(export_state, resident_state<T>, view<T, 4>, index_list)                                                  \
  operation(flush_state, resident_state<T>)                                                                           \
  operation(wkv7, sequences, wkv7_inputs<T>, view<T, 4>, resident_state<T>)

#define RWKV7_DISPATCHED_ROPE_TABLE(operation, T)                                                                     \
  operation(rope_table, sequences, rope_table_inputs<T>, rope_table_outputs<T>)

// By the names that rwkv7_add_cpu_dispatch has for the types. Those of 16 bits also with a state of their own type.
#define RWKV7_DISPATCHED_f32(operation)                                                               \
  RWKV7_DISPATCHED_OPERATIONS(operation, float) RWKV7_DISPATCHED_RESIDENT_STATE(operation, float)     \
  RWKV7_DISPATCHED_ROPE_TABLE(operation, float)
#define RWKV7_DISPATCHED_f64(operation) \
  RWKV7_DISPATCHED_OPERATIONS(operation, double) RWKV7_DISPATCHED_ROPE_TABLE(operation, double)
#define RWKV7_DISPATCHED_bf16(operation) \
  RWKV7_DISPATCHED_OPERATIONS(operation, bf16) RWKV7_DISPATCHED_RECURRENCES(operation, bf16, bf16)
#define RWKV7_DISPATCHED_f16(operation) \
  RWKV7_DISPATCHED_OPERATIONS(operation, f16) RWKV7_DISPATCHED_RECURRENCES(operation, f16, f16)
// clang-format on

namespace rwkv7::backend::dispatch {

// What rwkv7_add_cpu_dispatch calls its units, and which of them a processor can use. Each has the registers and
// functions of the architecture it derives from.
#if defined(__x86_64__)
struct baseline : xsimd::sse2 {
  using base = xsimd::sse2;
};
struct avx2 : xsimd::fma3<xsimd::avx2> {
  using base = xsimd::fma3<xsimd::avx2>;
};
struct avx512 : xsimd::avx512bw {
  using base = xsimd::avx512bw;
};
struct avx512vnni : xsimd::avx512bw {
  using base = xsimd::avx512bw;
};
inline dispatch_unit described(avx2, const processor& p) noexcept { return {"avx2", p.has_avx2()}; }
inline dispatch_unit described(avx512, const processor& p) noexcept { return {"avx512", p.has_avx512()}; }
inline dispatch_unit described(avx512vnni, const processor& p) noexcept { return {"avx512vnni", p.has_avx512vnni()}; }
#else
using baseline = native_arch;  // the only one
#endif
inline dispatch_unit described(baseline, const processor&) noexcept { return {"baseline", true}; }

template <class Arch>
concept unit_arch = std::is_base_of_v<typename Arch::base, Arch>;

/// A mask of xsimd's base architecture.
template <class T, unit_arch Arch>
struct mask_register {
  using register_type = typename xsimd::types::get_bool_simd_register_t<T, typename Arch::base>::register_type;
  register_type data;

  mask_register() = default;
  RWKV7_INLINE mask_register(register_type mask) noexcept : data(mask) {}
  RWKV7_INLINE operator register_type() const noexcept { return data; }
};

}  // namespace rwkv7::backend::dispatch

// xsimd's own way to say which registers an architecture has, from 8.1 to 14.
namespace xsimd::types {

template <class T, rwkv7::backend::dispatch::unit_arch Arch>
struct simd_register<T, Arch> {
  using register_type = typename simd_register<T, typename Arch::base>::register_type;
  register_type data;
  RWKV7_INLINE operator register_type() const noexcept { return data; }
};
template <class T, rwkv7::backend::dispatch::unit_arch Arch>
struct has_simd_register<T, Arch> : has_simd_register<T, typename Arch::base> {};
template <class T, rwkv7::backend::dispatch::unit_arch Arch>
struct get_bool_simd_register<T, Arch> {
  using type = rwkv7::backend::dispatch::mask_register<T, Arch>;
};

}  // namespace xsimd::types

namespace rwkv7::backend::dispatch {

/// The executor of the kernels in a unit.
template <class Arch>
struct unit_executor {
  using backend_tag = cpu::tag<Arch>;
  const any_threads& threads;

  RWKV7_INLINE index_t concurrency() const noexcept { return threads.concurrency; }
  RWKV7_INLINE index_t fork_cost() const noexcept { return threads.fork_cost; }
  template <class F>
  RWKV7_INLINE void bulk(index_t n, F&& f) const {
    threads.bulk(threads.executor, n, &f,
                 [](void* task, index_t i) { (*static_cast<std::remove_reference_t<F>*>(task))(i); });
  }
};

/// An operation on one architecture; defined in the unit of that architecture.
template <class Arch, class... Operands>
struct unit_operation {
  static void run(const any_threads& threads, const Operands&... operands);
};

/// The kernel whose operands have these types.
template <class... Operands>
struct kernel_of;
#define RWKV7_KERNEL_OF(operation, ...)                                                          \
  template <>                                                                                    \
  struct kernel_of<__VA_ARGS__> {                                                                \
    template <class Arch, class... Operands>                                                     \
    RWKV7_INLINE static void run(const unit_executor<Arch>& exec, const Operands&... operands) { \
      operation##_kernel(cpu::tag<Arch>{}, exec, operands...);                                   \
    }                                                                                            \
  };
RWKV7_DISPATCHED_f32(RWKV7_KERNEL_OF) RWKV7_DISPATCHED_f64(RWKV7_KERNEL_OF) RWKV7_DISPATCHED_bf16(RWKV7_KERNEL_OF)
    RWKV7_DISPATCHED_f16(RWKV7_KERNEL_OF)
#undef RWKV7_KERNEL_OF

    /// What a program that holds these units says of them.
    template <class... Archs>
    inline_array<dispatch_unit, sizeof...(Archs)> describe(const processor& p) noexcept {
  return {{described(Archs{}, p)...}};
}

/// Runs an operation in unit `unit` of these.
template <class... Archs, class... Operands>
void run_in(std::size_t unit, const any_threads& threads, const Operands&... operands) {
  constexpr void (*runs[])(const any_threads&, const Operands&...) = {unit_operation<Archs, Operands...>::run...};
  runs[unit](threads, operands...);
}

}  // namespace rwkv7::backend::dispatch

/// The text of a unit: for one architecture, under whose flags the file is compiled; then RWKV7_DISPATCH_UNIT_TYPE for
/// each type that it shall hold, every operation on it.
#define RWKV7_DISPATCH_UNIT(arch)                                                                        \
  namespace rwkv7::backend::dispatch {                                                                   \
  static_assert(arch::supported(), "this file needs the flags of its architecture");                     \
  template <class Arch, class... Operands>                                                               \
  void unit_operation<Arch, Operands...>::run(const any_threads& threads, const Operands&... operands) { \
    kernel_of<Operands...>::run(unit_executor<Arch>{threads}, operands...);                              \
  }                                                                                                      \
  using this_unit = arch;                                                                                \
  }
#define RWKV7_DISPATCH_UNIT_TYPE(type)                   \
  namespace rwkv7::backend::dispatch {                   \
  RWKV7_DISPATCHED_##type(RWKV7_DISPATCH_UNIT_OPERATION) \
  }
#define RWKV7_DISPATCH_UNIT_OPERATION(operation, ...) template struct unit_operation<this_unit, __VA_ARGS__>;

/// The text of the file that knows all units, the worst first; compiled without flags of its own. Then
/// RWKV7_DISPATCH_PROGRAM_TYPE for each type.
#define RWKV7_DISPATCH_PROGRAM(...)                                                                             \
  namespace rwkv7::backend::dispatch {                                                                          \
  template <class... Operands>                                                                                  \
  void operation<Operands...>::run(std::size_t unit, const any_threads& threads, const Operands&... operands) { \
    run_in<__VA_ARGS__>(unit, threads, operands...);                                                            \
  }                                                                                                             \
  template <index_t MaxHeadSize>                                                                                \
  std::span<const dispatch_unit> program<MaxHeadSize>::units() noexcept {                                       \
    static const auto all = describe<__VA_ARGS__>(processor::read());                                           \
    return all.items;                                                                                           \
  }                                                                                                             \
  template struct program<max_head_size>;                                                                       \
  }
#define RWKV7_DISPATCH_PROGRAM_TYPE(type)                   \
  namespace rwkv7::backend::dispatch {                      \
  RWKV7_DISPATCHED_##type(RWKV7_DISPATCH_PROGRAM_OPERATION) \
  }
#define RWKV7_DISPATCH_PROGRAM_OPERATION(name, ...) template struct operation<__VA_ARGS__>;
