// SPDX-License-Identifier: MIT
/// Which slots of the caller's states are in use, for programs whose sequences come and go.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "rwkv7/core/check.hpp"

namespace rwkv7 {

/// Hands out the slots of `states` [slots, state_size], which stay the caller's. Slots are numbers as packed wants them
/// in state_indices. Allocates when it is made (5 bytes per slot) and never again. Not for several threads at once.
template <class T>
class state_pool {
 public:
  /// All slots free. rwkv7::error for states that cannot be written or have no unit stride; where exceptions are off
  /// the pool then has no slots.
  explicit state_pool(const view<T, 2>& states) {
    checker check("state_pool");
    check.operand("states", states, {{"slots", states.extent(0)}, {"state", states.extent(1)}})
        .writable("states", states)
        .require(states.extent(0) <= std::int64_t{0x7fffffff}, "slots", states.extent(0), "less than 2^31");
    if (check.result()) {
      report(check.result());
      return;
    }
    states_ = states;
    used_.resize(static_cast<std::size_t>(states.extent(0)));
    for (index_t i = states.extent(0); i-- > 0;) free_.push_back(static_cast<std::int32_t>(i));
  }

  /// How many there are.
  index_t slots() const noexcept { return states_.extent(0); }
  /// How many acquire can still give.
  index_t available() const noexcept { return static_cast<index_t>(free_.size()); }
  /// All slots, in place, for calls that name theirs by state_indices.
  carried<T, 2> states() const noexcept { return carried<T, 2>::in_place(states_); }
  /// One slot's state.
  view<T, 1> operator[](index_t slot) const noexcept { return states_[slot]; }

  /// A slot nobody has, its state zeros; nothing when all are in use.
  std::optional<std::int32_t> acquire() noexcept {
    const auto slot = take();
    if (slot) std::fill_n(states_.at(*slot, 0), states_.extent(1), T(0));
    return slot;
  }
  /// A slot nobody had, its state a copy of that of `from`; nothing when all are in use. rwkv7::error when `from` is
  /// not in use.
  std::optional<std::int32_t> branch(index_t from) {
    if (!in_use("branch", from)) return {};
    const auto slot = take();
    if (slot) std::copy_n(states_.at(from, 0), states_.extent(1), states_.at(*slot, 0));
    return slot;
  }
  /// Gives a slot back; its state stays as it is until somebody acquires it. rwkv7::error when it is not in use.
  void release(index_t slot) {
    if (!in_use("release", slot)) return;
    used_[static_cast<std::size_t>(slot)] = false;
    free_.push_back(static_cast<std::int32_t>(slot));
  }

 private:
  std::optional<std::int32_t> take() noexcept {
    if (free_.empty()) return {};
    const std::int32_t slot = free_.back();
    free_.pop_back();
    used_[static_cast<std::size_t>(slot)] = true;
    return slot;
  }
  bool in_use(const char* what, index_t slot) const {
    if (slot >= 0 && slot < slots() && used_[static_cast<std::size_t>(slot)]) return true;
    diagnosis problem;
    problem.complain("rwkv7::state_pool: %s: slot %lld is not in use", what, static_cast<long long>(slot));
    report(problem);
    return false;
  }

  view<T, 2> states_;
  std::vector<std::int32_t> free_;  // taken from the end
  std::vector<bool> used_;
};

}  // namespace rwkv7
