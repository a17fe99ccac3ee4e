// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

#include "rwkv7/backend/cpu/resident_state.hpp"
#include "rwkv7/backend/reference/resident_state.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/core/resident_state.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/ops/wkv7.hpp"

namespace rwkv7 {

namespace detail {

/// How the executor's back end would keep a state of these extents, which are plausible.
template <class T, class Exec>
resident_plan resident_plan_on(Exec& exec, const state_extents& e) noexcept {
  constexpr bool dispatched = std::is_same_v<backend_tag_of<Exec>, backend::dispatch::tag>;
  using target = backend_tag_of<std::conditional_t<dispatched, inline_executor, Exec>>;
  constexpr bool found = requires { resident_plan_of<T>(target{}, exec, e); };
  static_assert(found,
                "rwkv7: this executor's back end keeps no resident state of this element type; see "
                "backend/<name>/resident_state.hpp");
  if constexpr (found)
    return resident_plan_of<T>(target{}, exec, e);
  else
    return {};
}

inline checker& check_extents(checker& check, const state_extents& e) noexcept {
  check.require(e.slots >= 0, "slots", e.slots, "0 or more")
      .require(e.H >= 0, "H", e.H, "0 or more")
      .require(e.N >= 0, "N", e.N, "0 or more")
      .head_size(e.N);
  // Far more than any machine has, and far from an overflow.
  const double elements = static_cast<double>(e.slots) * static_cast<double>(e.H) * static_cast<double>(e.N + 1);
  return check.require(elements < 0x1p48, "slots", e.slots, "fewer, for so many heads");
}

/// There is a state, and it is this back end's. Of another number of threads is fine.
template <class T, class Exec>
diagnosis check_resident(const char* operation, Exec& exec, const resident_state<T>& s) noexcept {
  diagnosis problem;
  const char* const own = resident_plan_on<T>(exec, {0, 0, 0}).back_end;
  if (!s) problem.complain("rwkv7::%s: state: not given", operation);
  if (!problem && std::string_view(s.plan().back_end) != own)
    problem.complain("rwkv7::%s: state: got one made for the back end '%s', want '%s'", operation, s.plan().back_end,
                     own);
  return problem;
}

/// These slots exist; `count` is the first extent of the tensor beside them.
template <class T>
void check_slots(checker& check, const resident_state<T>& s, const index_list& slots) noexcept {
  for (index_t i = 0; i < slots.size(); ++i)
    if (slots[i] < 0 || slots[i] >= s.extents().slots)
      check.require(false, "slot", slots[i], "0 or more and less than those of the state");
}

}  // namespace detail

/// Why there can be no resident state of these extents, or nothing.
inline diagnosis validate_resident_state(const state_extents& e) noexcept {
  checker check("resident_state");
  return detail::check_extents(check, e).result();
}

/// Cache lines of memory that make_resident_state wants. They depend on the executor's back end and on how many threads
/// it has, not on the instruction set. rwkv7::error where validate_resident_state complains; 0 if that returns.
template <class T, executor Exec>
std::size_t resident_state_size(Exec&& exec, const state_extents& extents) {
  if (const auto problem = validate_resident_state(extents)) return report(problem), std::size_t{0};
  return detail::resident_plan_on<T>(exec, extents).lines;
}

/// A state of zeros in the caller's memory, laid out for the threads of the executor.
///
///   std::vector<cache_line> memory(resident_state_size<float>(exec, {slots, H, N}));
///   auto S = make_resident_state<float>(exec, {slots, H, N}, memory);
///   import_state(exec, prompt, S);                            // from [slots, H, N, N]
///   for (;;) wkv7(exec, dense{slots, 1}, inputs, y, S);       // as wkv7 in place
///   export_state(exec, S, saved);
///
/// Errors: rwkv7::error, nothing written, no state returned. Any executor of the same back end may use it, with another
/// instruction set or number of threads, too; it is fastest with as many threads as it was made for.
template <class T, executor Exec>
resident_state<T> make_resident_state(Exec&& exec, const state_extents& extents, std::span<cache_line> memory);

/// What is wrong with a call of import_state, or nothing.
template <executor Exec, class T>
diagnosis validate_import_state(Exec&& exec, const std::type_identity_t<view<const T, 4>>& from,
                                const resident_state<T>& state, const index_list& slots) noexcept {
  if (auto problem = detail::check_resident("import_state", exec, state)) return problem;
  const auto [all, H, N] = state.extents();
  checker check("import_state");
  if (from)
    check.shape("from", from, {{"slots", slots.size() > 0 ? slots.size() : all}, {"H", H}, {"N", N}, {"N", N}})
        .disjoint("state", state.bytes(), "from", from);
  detail::check_slots(check, state, slots);
  return check.result();
}

/// Sets slots of a resident state: item n of `from` goes to slot slots[n], or n where no slots are named; the others
/// keep what they hold. A slot named twice has the last of its items.
///
///   from       [n, H, N, N]  read; row = value, column = key; any strides. Absent: zeros
///   state      overwritten in these slots
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: export_state gives the same bits
/// back.
template <executor Exec, class T>
void import_state(Exec&& exec, std::type_identity_t<view<const T, 4>> from, const resident_state<T>& state,
                  const index_list& slots = {}) {
  if (const auto problem = validate_import_state(exec, from, state, slots)) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(import_state_kernel(a...)) { import_state_kernel(a...); }, exec, from,
                    state, slots);
}

/// What is wrong with a call of export_state, or nothing.
template <executor Exec, class T>
diagnosis validate_export_state(Exec&& exec, const resident_state<T>& state, const std::type_identity_t<view<T, 4>>& to,
                                const index_list& slots) noexcept {
  if (auto problem = detail::check_resident("export_state", exec, state)) return problem;
  const auto [all, H, N] = state.extents();
  checker check("export_state");
  check.shape("to", to, {{"slots", slots.size() > 0 ? slots.size() : all}, {"H", H}, {"N", N}, {"N", N}})
      .writable("to", to)
      .disjoint("to", to, "state", state.bytes());
  detail::check_slots(check, state, slots);
  return check.result();
}

/// Copies slots of a resident state out: slot slots[n], or n where no slots are named, to item n. The state goes on as
/// if nothing had been asked.
///
///   state      read
///   to         [n, H, N, N]  overwritten; row = value, column = key; any strides
///
/// Errors: rwkv7::error before anything is written. Allocates nothing.
template <executor Exec, class T>
void export_state(Exec&& exec, const resident_state<T>& state, std::type_identity_t<view<T, 4>> to,
                  const index_list& slots = {}) {
  if (const auto problem = validate_export_state(exec, state, to, slots)) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(export_state_kernel(a...)) { export_state_kernel(a...); }, exec, state,
                    to, slots);
}

/// Does what a step leaves undone. Results change by roundings only: from here on, they are those of a state that was
/// exported and imported, bit for bit. So two programs that pass a state on agree when both flush it there.
/// Errors: rwkv7::error. Allocates nothing.
template <executor Exec, class T>
void flush_state(Exec&& exec, const resident_state<T>& state) {
  if (const auto problem = detail::check_resident("flush_state", exec, state)) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(flush_state_kernel(a...)) { flush_state_kernel(a...); }, exec, state);
}

template <class T, executor Exec>
resident_state<T> make_resident_state(Exec&& exec, const state_extents& extents, std::span<cache_line> memory) {
  if (const auto problem = validate_resident_state(extents)) return report(problem), resident_state<T>();
  const auto plan = detail::resident_plan_on<T>(exec, extents);
  if (const auto problem = resident_state<T>::validate_memory(memory, plan))
    return report(problem), resident_state<T>();
  const resident_state<T> state(memory.data(), extents, plan);
  import_state(exec, {}, state);
  return state;
}

/// What is wrong with a call of wkv7 on a resident state, or nothing.
template <executor Exec, class T>
diagnosis validate_wkv7(Exec&& exec, const sequences& seq, const wkv7_inputs<T>& in,
                        const std::type_identity_t<view<T, 4>>& y, const resident_state<T>& state) noexcept {
  if (auto problem = detail::check_resident("wkv7", exec, state)) return problem;
  if (auto problem = validate_wkv7(seq, in, y, {})) return problem;
  const auto [slots, H, N] = state.extents();
  const auto bytes = state.bytes();
  checker check("wkv7");
  return check.sequence_list(seq, slots, true)
      .shape("r", in.r, {{"B", seq.batch()}, {"T", seq.tokens()}, {"H", H}, {"N", N}})
      .disjoint("y", y, "state", bytes)
      .disjoint("state", bytes, "r", in.r)
      .disjoint("state", bytes, "w", in.w.values())
      .disjoint("state", bytes, "k", in.k)
      .disjoint("state", bytes, "v", in.v)
      .disjoint("state", bytes, "a", in.a)
      .disjoint("state", bytes, "b", in.b)
      .result();
}

/// wkv7 in place on a resident state: the same formula and operands, made for the decode step.
///
/// A sequence owns a slot of the state. Any T and any split of it: tokens go one by one, so the bits are the same (D4);
/// so they are from run to run, for any number of threads, those it was made for included, and whatever the other
/// sequences hold (D1–D3). No states in between: export_state, or a copy of the memory, keeps one.
/// Errors: rwkv7::error before anything is written. Cost: 8 N² flops per head and token, in one pass over the state.
/// Allocates nothing; stack of 7 RWKV7_MAX_HEAD_SIZE elements per thread. Exactness: as wkv7; N below 32 or not a
/// multiple of it wastes lanes.
template <executor Exec, class T, class State>
requires std::same_as<State, resident_state<T>>
void wkv7(Exec&& exec, const sequences& seq, const wkv7_inputs<T>& in, std::type_identity_t<view<T, 4>> y,
          const State& state) {
  if (const auto problem = validate_wkv7(exec, seq, in, y, state)) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(wkv7_kernel(a...)) { wkv7_kernel(a...); }, exec, seq, in, y, state);
}

}  // namespace rwkv7
