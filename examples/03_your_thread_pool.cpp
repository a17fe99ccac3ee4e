// SPDX-License-Identifier: MIT
// The library starts no threads: bulk_executor runs on the pool that a program already has. The pool below stands for
// yours; the library only needs its parallel for.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <random>
#include <rwkv7/timemix.hpp>
#include <thread>
#include <vector>

// Threads that share the indices of one loop at a time; the calling thread works, too.
class pool {
 public:
  explicit pool(int threads) {
    while (--threads > 0) workers_.emplace_back([this](std::stop_token stop) { work(stop); });
  }
  // f(i) for every i in [0, n), some of them at once.
  void parallel_for(std::int64_t n, std::function<void(std::int64_t)> f) {
    std::unique_lock lock(mutex_);
    f_ = f, n_ = n, next_ = 0, busy_ = workers_.size(), ++loop_;
    lock.unlock();
    wake_.notify_all();
    for (std::int64_t i; (i = next_++) < n;) f(i);
    lock.lock();
    done_.wait(lock, [&] { return busy_ == 0; });
  }

 private:
  void work(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    for (int seen = 0; wake_.wait(lock, stop, [&] { return loop_ != seen; });) {
      seen = loop_;
      lock.unlock();
      for (std::int64_t i; (i = next_++) < n_;) f_(i);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_, done_;
  std::function<void(std::int64_t)> f_;
  std::atomic<std::int64_t> next_ = 0;
  std::int64_t n_ = 0;
  std::size_t busy_ = 0;
  int loop_ = 0;
  std::vector<std::jthread> workers_;
};

using namespace rwkv7;

int main() {
  const index_t B = 1, T = 100, H = 8, N = 64;
  std::mt19937 random(1);
  const auto numbers = [&](float scale) {
    std::vector<float> x(B * T * H * N);
    for (float& e : x) e = scale * (static_cast<float>(random()) * 0x1p-31f - 1);
    return x;
  };
  const auto r = numbers(1), w = numbers(4), k = numbers(1), v = numbers(1), a = numbers(0.1f), b = numbers(0.1f);
  const auto in = [&](const auto& x) { return as_view(x, {B, T, H, N}); };
  const wkv7_inputs<float> inputs{
      .r = in(r), .w = decay<float>::logit(in(w)), .k = in(k), .v = in(v), .a = in(a), .b = in(b)};

  // One call on this thread, one on four. The task is passed on by reference: it lives until the call returns.
  std::vector<float> alone(r.size()), together(r.size());
  wkv7(inline_executor{}, dense{B, T}, inputs, as_view(alone, {B, T, H, N}));
  pool mine(4);
  bulk_executor exec(4, [&](index_t n, auto& task) { mine.parallel_for(n, std::ref(task)); });
  wkv7(exec, dense{B, T}, inputs, as_view(together, {B, T, H, N}));

  const bool same = alone == together;
  std::printf("4 threads of my own and 1 thread: the results are %s\n", same ? "equal to the last bit" : "DIFFERENT");
  return same ? 0 : 1;
}
