// SPDX-License-Identifier: MIT
/// A thread pool as programs have one: it knows nothing of rwkv7 and takes its tasks as std::function.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace rwkv7_test {

class thread_team {
 public:
  explicit thread_team(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  ~thread_team() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& t : threads_) t.join();
  }
  thread_team(const thread_team&) = delete;
  thread_team& operator=(const thread_team&) = delete;

  /// task(i) for i in [0, n), on the team's threads and the calling one; calls from several threads take turns.
  void parallel_for(std::int64_t n, const std::function<void(std::int64_t)>& task) {
    const std::lock_guard turn(turn_);
    std::unique_lock lock(mutex_);
    task_ = &task;
    next_ = 0;
    end_ = n;
    wake_.notify_all();
    work(lock);
    done_.wait(lock, [this] { return running_ == 0 && next_ == end_; });
  }

 private:
  void work(std::unique_lock<std::mutex>& lock) {
    while (next_ < end_) {
      const auto i = next_++;
      const auto* task = task_;
      ++running_;
      lock.unlock();
      (*task)(i);
      lock.lock();
      if (--running_ == 0 && next_ == end_) done_.notify_all();
    }
  }
  void serve() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      wake_.wait(lock, [this] { return stop_ || next_ < end_; });
      work(lock);
    }
  }

  std::mutex turn_, mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(std::int64_t)>* task_ = nullptr;
  std::int64_t next_ = 0, end_ = 0, running_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace rwkv7_test
