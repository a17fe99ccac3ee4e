// SPDX-License-Identifier: MIT
// rwkv7-test: all calls
// Calls on several threads at once, each with outputs and state of its own and with inputs that all share, give the
// bits that they give one after the other. What is read is never written: the thread sanitizer watches.
#include <doctest/doctest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/all_calls.hpp"
#include "support/compare.hpp"
#include "support/thread_team.hpp"

using rwkv7::index_t;
using rwkv7_test::op_sizes;
using rwkv7_test::role;

namespace {

constexpr int users = 4;
constexpr op_sizes sizes{.B = 2, .T = 70, .H = 4, .H_kv = 2, .N = 32, .C = 128, .rank = 16};

/// Everything that users read, made once and handed to each in the same order.
class shared_inputs {
 public:
  void* next(std::size_t bytes, std::size_t& position) {
    if (position == blocks_.size()) blocks_.emplace_back((bytes + 3) / 4);
    return blocks_[position++].data();
  }

 private:
  std::deque<std::vector<float>> blocks_;
};

/// All operations and blocks of one user, with what they write.
struct user {
  explicit user(shared_inputs& inputs) {
    std::size_t position = 0;
    const auto add = [&](auto calls_of, auto... type) {
      const auto allocate = [&](std::size_t bytes, role what_for) -> void* {
        if (what_for == role::read) return inputs.next(bytes, position);
        return (what_for == role::write ? written : scratch).emplace_back((bytes + 3) / 4).data();
      };
      for (auto& call : calls_of(sizes, type..., allocate)) calls.push_back(std::move(call));
    };
    add(rwkv7_test::wkv7_calls);
    add(rwkv7_test::wkv_calls);
    add(rwkv7_test::other_op_calls, rwkv7::dtype::bf16);
    add(rwkv7_test::block_calls, rwkv7::dtype::f32);
  }
  void run(rwkv7_test::any_executor exec) {
    for (const auto& call : calls) call.run(exec);
  }

  std::deque<std::vector<float>> written, scratch;
  std::vector<rwkv7_test::op_call> calls;
};

/// Each user runs on exec_of(user), all at once; then one after the other on `alone`.
template <class Exec, class ExecOf>
void check_concurrent(Exec& alone, ExecOf exec_of) {
  shared_inputs inputs;
  std::deque<user> together;
  for (int u = 0; u < users; ++u) together.emplace_back(inputs);
  user serial(inputs);
  serial.run(&alone);

  std::atomic<int> ready = 0;
  std::vector<std::thread> threads;
  for (int u = 0; u < users; ++u)
    threads.emplace_back([&, u] {
      ++ready;
      while (ready < users) std::this_thread::yield();
      together[static_cast<std::size_t>(u)].run(&exec_of(u));
    });
  for (auto& t : threads) t.join();

  for (const auto& u : together) {
    REQUIRE(u.written.size() == serial.written.size());
    for (std::size_t i = 0; i < u.written.size(); ++i) CHECK(rwkv7_test::same_bits(u.written[i], serial.written[i]));
  }
}

}  // namespace

TEST_CASE("threads with an inline executor each") {
  rwkv7::inline_executor execs[users], alone;
  check_concurrent(
      alone, [&](int u) -> auto& { return execs[u]; });
}

TEST_CASE("threads with a reference executor each") {
  rwkv7::reference_executor execs[users], alone;
  check_concurrent(
      alone, [&](int u) -> auto& { return execs[u]; });
}

TEST_CASE("threads that share one thread_executor") {
  rwkv7::thread_executor exec(3), alone(1);
  check_concurrent(
      alone, [&](int) -> auto& { return exec; });
}

TEST_CASE("threads that share the program's own pool") {
  rwkv7_test::thread_team team(2);
  const auto on_team = [&](index_t n, auto& task) { team.parallel_for(n, std::ref(task)); };
  rwkv7_test::pool_executor exec(3, {on_team}), alone(1, {on_team});
  check_concurrent(
      alone, [&](int) -> auto& { return exec; });
}
