// SPDX-License-Identifier: MIT
/// Runs on a team of threads of its own that wait for the next call without sleeping: for models whose operations take
/// microseconds, where waking a pool for each of them costs more than the second thread brings.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "rwkv7/core/arch.hpp"
#include "rwkv7/exec/executor.hpp"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace rwkv7 {

namespace detail {

/// Tells the processor that this thread waits for another one.
RWKV7_INLINE void pause() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Calls of f(i), 0 ≤ i < n, shared among the calling thread and the team's own. Every member has a part of the range,
/// the same part in calls with the same n, so that what a task left in its core's cache is found there again; who is
/// done with its own takes from the others. A member that sleeps or was scheduled away is not waited for.
class spin_team {
 public:
  spin_team(int threads, std::chrono::microseconds patience)
      : members_(threads > 1 ? static_cast<std::size_t>(threads) : 1),
        parts_(std::make_unique<part[]>(members_)),
        patience_(patience) {
    for (std::size_t m = 1; m < members_; ++m) workers_.emplace_back([this, m] { work(m); });
  }
  spin_team(const spin_team&) = delete;
  ~spin_team() {
    stop_.store(true, std::memory_order_relaxed);
    publish();
    for (auto& worker : workers_) worker.join();
  }

  std::size_t members() const noexcept { return members_; }

  void run(index_t n, void (*call)(void*, index_t), void* f) {
    // busy_: another call is running, and this one comes from a task of it or from another thread of the program.
    if (workers_.empty() || n > most_tasks || busy_.exchange(true, std::memory_order_acquire)) {
      for (index_t i = 0; i < n; ++i) call(f, i);
      return;
    }
    const auto round = static_cast<std::uint32_t>(round_.load(std::memory_order_relaxed) + 1);
    // First nobody can take anything any more: who sees one of the new values below also sees that.
    for (std::size_t m = 0; m < members_; ++m)
      parts_[m].next.store(ticket(round, most_tasks), std::memory_order_relaxed);
    call_.store(call, std::memory_order_release);
    f_.store(f, std::memory_order_release);
    left_.store(n, std::memory_order_relaxed);
    const auto count = static_cast<index_t>(members_);
    for (index_t m = 0; m < count; ++m) {
      part& p = parts_[static_cast<std::size_t>(m)];
      p.end.store(n * (m + 1) / count, std::memory_order_release);
      p.next.store(ticket(round, n * m / count), std::memory_order_release);
    }
    publish();
    take_all(0, round);
    for (int turns = 0; left_.load(std::memory_order_acquire) > 0;) wait_a_little(turns);
    busy_.store(false, std::memory_order_release);
  }

 private:
  static constexpr index_t most_tasks = 0xffffffff;

  // The next index of a part and the number of the call, changed together: who comes late to a call that is over finds
  // another number and takes nothing.
  struct alignas(64) part {
    std::atomic<std::uint64_t> next{0};
    std::atomic<index_t> end{0};
  };
  static constexpr std::uint64_t ticket(std::uint32_t round, index_t i) noexcept {
    return std::uint64_t{round} << 32 | static_cast<std::uint32_t>(i);
  }

  void publish() noexcept {
    round_.fetch_add(1);
    if (sleeping_.load() > 0) round_.notify_all();
  }

  void take_all(std::size_t own, std::uint32_t round) {
    for (std::size_t m = 0; m < members_; ++m) {
      part& p = parts_[(own + m) % members_];
      auto next = p.next.load(std::memory_order_acquire);
      // Read before the index is taken: taking it proves that they belong to this call.
      const auto call = call_.load(std::memory_order_acquire);
      void* const f = f_.load(std::memory_order_acquire);
      const index_t end = p.end.load(std::memory_order_acquire);
      while (next >> 32 == round && static_cast<index_t>(static_cast<std::uint32_t>(next)) < end)
        if (p.next.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
          call(f, static_cast<index_t>(static_cast<std::uint32_t>(next)));
          left_.fetch_sub(1, std::memory_order_acq_rel);
          ++next;
        }
    }
  }

  void work(std::size_t own) {
    for (std::uint32_t seen = 0;;) {
      const std::uint32_t round = next_round(seen);
      if (stop_.load(std::memory_order_relaxed)) return;
      take_all(own, round);
      seen = round;
    }
  }

  std::uint32_t next_round(std::uint32_t seen) noexcept {
    using clock = std::chrono::steady_clock;
    const auto asleep_at = clock::now() + patience_;
    for (int turns = 0;;) {
      if (const auto round = round_.load(std::memory_order_acquire); round != seen) return round;
      wait_a_little(turns);
      if (turns % 64 == 0 && clock::now() > asleep_at) break;
    }
    sleeping_.fetch_add(1);
    round_.wait(seen);
    sleeping_.fetch_sub(1);
    return round_.load(std::memory_order_acquire);
  }

  /// Gives way now and then, for a machine that has fewer processors than the team has threads.
  static void wait_a_little(int& turns) noexcept {
    pause();
    if (++turns % 1024 == 0) std::this_thread::yield();
  }

  const std::size_t members_;
  std::unique_ptr<part[]> parts_;
  const std::chrono::microseconds patience_;
  alignas(64) std::atomic<std::uint32_t> round_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
  std::atomic<void (*)(void*, index_t)> call_{nullptr};
  std::atomic<void*> f_{nullptr};
  alignas(64) std::atomic<index_t> left_{0};
  std::atomic<bool> busy_{false};
  std::vector<std::thread> workers_;  // last: the others are there when they start
};

}  // namespace detail

/// The calling thread and a team of its own. A call made while another one runs (from a task, or from another thread of
/// the program) runs on its calling thread alone.
template <class Arch>
class basic_spin_executor {
 public:
  using backend_tag = backend::cpu::tag<Arch>;

  /// Starts threads - 1 workers. They keep a processor busy for `patience` after each call, then sleep; a call that
  /// finds them asleep wakes them and begins without them.
  explicit basic_spin_executor(int threads, std::chrono::microseconds patience = std::chrono::milliseconds(1))
      : team_(std::make_unique<detail::spin_team>(threads, patience)) {}

  index_t concurrency() const noexcept { return static_cast<index_t>(team_->members()); }
  /// What handing out tasks is taken to cost, in nanoseconds. Two threads of an AMD EPYC (Zen 5) took 130 for tasks
  /// that do nothing; the rest stands for operands that move to the other core.
  static constexpr index_t fork_cost() noexcept { return 300; }

  template <class F>
  void bulk(index_t n, F&& f) {
    if (n == 1) return f(index_t{0});
    using function = std::remove_reference_t<F>;
    if (n > 1)
      team_->run(
          n, [](void* p, index_t i) { (*static_cast<function*>(p))(i); },
          const_cast<void*>(static_cast<const volatile void*>(&f)));
  }

 private:
  std::unique_ptr<detail::spin_team> team_;
};

/// With the best kernels that the compiler flags allow.
using spin_executor = basic_spin_executor<native_arch>;

}  // namespace rwkv7
