// SPDX-License-Identifier: MIT
/// resident_state<T>: a WKV state in the layout of the back end that steps it, for loops that decode many tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rwkv7/core/check.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// What memory of a resident state is made of: std::vector<cache_line> lies where it should.
struct alignas(64) cache_line {
  std::byte bytes[64];  // opaque
};

/// The extents of a state [slots, H, N, N].
struct state_extents {
  index_t slots;  // sequences that can be told apart
  index_t H;      // heads
  index_t N;      // their size
};

/// How a back end keeps a resident state.
struct resident_plan {
  const char* back_end;  // whose layout it is
  index_t shards;        // parts that different threads step
  std::size_t lines;     // of memory
};

/// Refers to memory of the caller's, which make_resident_state (ops/resident_state.hpp) has made a state of. What is in
/// the memory is the back end's affair: import_state and export_state translate from and to [slots, H, N, N]. Copied
/// byte by byte it is the same state once more, on a machine of the same byte order; `at` refers to the copy.
template <class T>
class resident_state {
 public:
  /// No state.
  constexpr resident_state() noexcept = default;
  /// For make_resident_state, and for back ends.
  RWKV7_INLINE constexpr resident_state(cache_line* memory, const state_extents& extents,
                                        const resident_plan& plan) noexcept
      : memory_(memory), extents_(extents), plan_(plan) {}

  /// False where there is none.
  RWKV7_INLINE constexpr explicit operator bool() const noexcept { return plan_.back_end != nullptr; }
  /// Of the state that it holds.
  RWKV7_INLINE constexpr const state_extents& extents() const noexcept { return extents_; }
  /// How it is kept.
  RWKV7_INLINE constexpr const resident_plan& plan() const noexcept { return plan_; }
  /// For back ends.
  RWKV7_INLINE T* data() const noexcept { return reinterpret_cast<T*>(memory_); }
  /// All of the memory.
  view<const std::byte, 1> bytes() const noexcept {
    return {reinterpret_cast<const std::byte*>(memory_), {static_cast<index_t>(plan_.lines * sizeof(cache_line))}};
  }

  /// The state in a copy of the memory. rwkv7::error where that is too small.
  resident_state at(std::span<cache_line> copy) const {
    if (const auto problem = validate_memory(copy, plan_)) return report(problem), resident_state();
    return {copy.data(), extents_, plan_};
  }

  /// Why this memory cannot hold such a state, or nothing.
  static diagnosis validate_memory(std::span<const cache_line> memory, const resident_plan& plan) noexcept {
    diagnosis problem;
    if (memory.size() < plan.lines)
      problem.complain("rwkv7::resident_state: memory: got %llu cache lines, want %llu",
                       static_cast<unsigned long long>(memory.size()), static_cast<unsigned long long>(plan.lines));
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % sizeof(cache_line) != 0)
      problem.complain("rwkv7::resident_state: memory: got address %p, want a multiple of %d",
                       static_cast<const void*>(memory.data()), static_cast<int>(sizeof(cache_line)));
    return problem;
  }

 private:
  cache_line* memory_ = nullptr;
  state_extents extents_{0, 0, 0};
  resident_plan plan_{nullptr, 0, 0};
};

}  // namespace rwkv7
