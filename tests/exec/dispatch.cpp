// SPDX-License-Identifier: MIT
// rwkv7-test: all calls
// rwkv7-test: dispatch
// rwkv7-test: not sanitized
#include "rwkv7/exec/dispatch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rwkv7/core/processor.hpp"
#include "rwkv7/exec/bulk.hpp"
#include "rwkv7/exec/threads.hpp"
#include "support/all_calls.hpp"
#include "support/block_calls.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/op_calls.hpp"

using namespace rwkv7_test;
using rwkv7::dispatch_executor;
using rwkv7::index_t;

namespace {

// What the program can run: the names, the worst first.
std::vector<std::string> usable() {
  std::vector<std::string> names;
  for (const auto& unit : rwkv7::dispatch_units())
    if (unit.usable) names.emplace_back(unit.name);
  return names;
}

std::string refused(std::string_view name) {
  try {
    dispatch_executor<> exec(name);
  } catch (const rwkv7::error& problem) {
    return problem.what();
  }
  return "";
}

/// What calls wrote: the outputs that they asked for, one after the other.
struct outputs {
  using line = std::array<float, 16>;
  std::list<std::vector<line>> written, others;

  allocator allocate() {
    return [this](std::size_t bytes, role what_for) -> void* {
      auto& place = what_for == role::write ? written : others;
      return place.emplace_back(bytes / sizeof(line) + 1).data();
    };
  }
  std::vector<float> values() const {
    std::vector<float> all;
    for (const auto& output : written)
      for (const line& some : output) all.insert(all.end(), some.begin(), some.end());
    return all;
  }
};

/// What is written, after each call.
using record = std::vector<std::pair<std::string, std::vector<float>>>;

record written_by(any_executor exec, bool with_wkv, const op_sizes& sizes, rwkv7::dtype type) {
  outputs o;
  std::vector<std::vector<op_call>> calls{wkv7_calls(sizes, o.allocate()), other_op_calls(sizes, type, o.allocate()),
                                          block_calls(sizes, type, o.allocate())};
  if (with_wkv) calls.push_back(wkv_calls(sizes, o.allocate()));
  record all;
  for (const auto& some : calls)
    for (const auto& call : some) {
      call.run(exec);
      all.emplace_back(call.name, o.values());
    }
  return all;
}

template <class Exec>
record dispatched(Exec& exec, bool with_wkv, const op_sizes& sizes, rwkv7::dtype type) {
  outputs o;
  std::vector<std::pair<std::string, std::function<void()>>> calls;
  const auto collect = [&](const std::string& name, auto call) { calls.emplace_back(name, [&, call] { call(exec); }); };
  for_each_wkv7(sizes, o.allocate(), collect);
  for_each_resident_state(sizes, o.allocate(), collect);
  for_each_other_op(sizes, type, o.allocate(), collect);
  for_each_block(sizes, type, o.allocate(), collect);
  if (with_wkv) for_each_wkv(sizes, o.allocate(), collect);
  record all;
  for (const auto& [name, run] : calls) {
    run();
    all.emplace_back(name, o.values());
  }
  return all;
}

/// The first call after which not the same is written, to this relative L2 or to the bit, or nothing.
std::string difference(const record& got, const record& want, double allowed = 0) {
  if (got.size() != want.size()) return "the number of calls";
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto& [name, values] = want[i];
    if (allowed == 0 ? !same_bits(got[i].second, values) : !(relative_l2(got[i].second, values) <= allowed))
      return name;
  }
  return "";
}

/// The unit that computes as this build's own kernels for Arch.
template <class Arch>
const char* unit_like() {
#if defined(__AVX512VNNI__) && defined(__AVX512BF16__)
  if (std::is_same_v<Arch, xsimd::avx512bw>) return "avx512vnni";
#endif
  if (std::is_same_v<Arch, xsimd::avx512bw>) return "avx512";
  if (std::is_same_v<Arch, xsimd::fma3<xsimd::avx2>>) return "avx2";
  return "baseline";
}

/// How many units there were to compare with.
template <class Arch, class Exec>
int compare_with(Exec& direct, const op_sizes& sizes, rwkv7::dtype type) {
  const std::string name = unit_like<Arch>();
  const auto names = usable();
  if (std::find(names.begin(), names.end(), name) == names.end()) return 0;
  INFO(name, ", ", std::string(name_of(type)), ", N ", sizes.N);
  // The flags of the unit are those of this build: to the bit. Elsewhere the compiler fuses other sums.
  constexpr bool native = std::is_same_v<Arch, rwkv7::native_arch>;
  const double allowed = native ? 0 : budget::other_flags;
  const auto want = written_by(&direct, native, sizes, type);  // other_arch has no wkv
  const dispatch_executor<> alone(name);
  CHECK(alone.name() == name);
  CHECK(difference(dispatched(alone, native, sizes, type), want, allowed) == "");
  dispatch_executor threads(rwkv7::thread_executor(3), name);
  CHECK(difference(dispatched(threads, native, sizes, type), want, allowed) == "");
  return 1;
}

}  // namespace

TEST_CASE("a unit computes what an executor of its instruction set does, in every operation and block") {
  rwkv7::inline_executor native;
  other_arch<xsimd::sse2> sse2;
  other_arch<xsimd::fma3<xsimd::avx2>> avx2;
  int compared = 0;
  for (const op_sizes& sizes : {op_sizes{}, op_sizes{2, 33, 4, 2, 64, 50, 5}})
    for (const auto type : {rwkv7::dtype::f32, rwkv7::dtype::bf16, rwkv7::dtype::f16}) {
      compared += compare_with<rwkv7::native_arch>(native, sizes, type);
      if constexpr (xsimd::sse2::supported() && !std::is_same_v<rwkv7::native_arch, xsimd::sse2>)
        compared += compare_with<xsimd::sse2>(sse2, sizes, type);
      if constexpr (xsimd::fma3<xsimd::avx2>::supported() &&
                    !std::is_same_v<rwkv7::native_arch, xsimd::fma3<xsimd::avx2>>)
        compared += compare_with<xsimd::fma3<xsimd::avx2>>(avx2, sizes, type);
    }
  CHECK(compared > 0);
}

TEST_CASE("the best kernels that this machine can use are taken where none are named") {
  const auto names = usable();
  REQUIRE(!names.empty());
  CHECK(names.front() == "baseline");
  CHECK(dispatch_executor<>().name() == names.back());
  CHECK(dispatch_executor(rwkv7::thread_executor(2)).name() == names.back());
  const auto processor = rwkv7::processor::read();
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  CHECK(has("avx2") == processor.has_avx2());
  CHECK(has("avx512") == processor.has_avx512());
  CHECK(has("avx512vnni") == processor.has_avx512vnni());
}

TEST_CASE("kernels are had by name") {
  for (const auto& name : usable()) {
    CHECK(!rwkv7::validate_dispatch(name));
    CHECK(dispatch_executor<>(name).name() == name);
    CHECK(dispatch_executor(rwkv7::inline_executor{}, name).name() == name);
  }
}

TEST_CASE("kernels that the program does not hold are refused with the names of those it does") {
  const auto names = usable();
  std::string list = names.front();
  for (std::size_t i = 1; i < names.size(); ++i) list += ", " + names[i];
  const auto want = "rwkv7::dispatch_executor: the program holds no 'avx3', want one of: " + list;
  CHECK(refused("avx3") == want);
  CHECK(rwkv7::validate_dispatch("avx3").message() == want);
  CHECK(refused("avx").find("no 'avx', want") != std::string::npos);
  const std::string endless(100000, 'x');
  CHECK(refused(endless) ==
        "rwkv7::dispatch_executor: the program holds no '" + endless.substr(0, 40) + "', want one of: " + list);
  for (const auto& unit : rwkv7::dispatch_units())
    if (!unit.usable) CHECK(refused(unit.name).find("this processor has no '") != std::string::npos);
}

TEST_CASE("an executor given by name is borrowed, a temporary kept, and its threads do the work") {
  static_assert(std::is_same_v<decltype(dispatch_executor(rwkv7::thread_executor(2))),
                               dispatch_executor<rwkv7::thread_executor>>);
  static_assert(rwkv7::executor<dispatch_executor<>> && !rwkv7::cpu_executor<dispatch_executor<>>);
  index_t tasks = 0;
  rwkv7::bulk_executor pool(4, [&](index_t n, auto& task) {
    tasks += n;
    for (index_t i = n; i-- > 0;) task(i);
  });
  dispatch_executor exec(pool);
  static_assert(std::is_same_v<decltype(exec), dispatch_executor<decltype(pool)&>>);
  CHECK(exec.concurrency() == 4);
  const op_sizes large{2, 70, 8, 4, 64, 300, 32};
  const dispatch_executor<> alone;
  CHECK(difference(dispatched(exec, true, large, rwkv7::dtype::f32),
                   dispatched(alone, true, large, rwkv7::dtype::f32)) == "");
  CHECK(tasks > 10);
}
