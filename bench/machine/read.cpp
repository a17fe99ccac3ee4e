// SPDX-License-Identifier: MIT
/// The most bytes a second that can be read from each level of memory, or read and written back, in order and by every
/// thread its own.
#include <algorithm>
#include <memory>
#include <vector>

#include "rwkv7/backend/cpu/simd.hpp"
#include "support/machine.hpp"
#include "support/update.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7::backend::cpu;
using arch = rwkv7::native_arch;

float sum_of(const float* x, index_t n) {
  constexpr index_t W = lanes<arch>, together = 8;
  vec<arch> sum[together];
  for (auto& s : sum) s = vec<arch>(0.0f);
  for (index_t i = 0; i + together * W <= n; i += together * W) {
    RWKV7_UNROLL
    for (index_t j = 0; j < together; ++j) sum[j] = sum[j] + load<arch>(x + i + j * W);
  }
  for (index_t j = 1; j < together; ++j) sum[0] = sum[0] + sum[j];
  return reduce_add<arch>(sum[0]);
}

/// `bytes` per thread, read (and written) again and again until a task has seen 8 MiB.
void add_level(const std::string& level, index_t bytes, int threads, bool written) {
  const index_t n = bytes / 4096 * 1024, passes = std::max<index_t>(1, (index_t{1} << 21) / n);
  add_limit((written ? "update/" : "read/") + level + "/bytes:" + std::to_string(4 * n), "bytes/s",
            (written ? 8.0 : 4.0) * static_cast<double>(n * passes), threads, [n, passes, written](int count) {
              // A page more between two threads' parts, which otherwise meet in the same sets of a shared cache.
              const index_t apart = n + 1024;
              const auto memory =
                  std::make_shared<std::vector<float>>(static_cast<std::size_t>(count * apart + 16), 1.0f);
              auto* const line = reinterpret_cast<float*>(  // no load touches two
                  (reinterpret_cast<std::uintptr_t>(memory->data()) + 63) / 64 * 64);
              return [memory, line, apart, n, passes, written](index_t i) {
                for (index_t p = 0; p < passes; ++p)
                  if (written)
                    update(line + i * apart, n);
                  else
                    benchmark::DoNotOptimize(sum_of(line + i * apart, n));
              };
            });
}

/// As Linux tells it: sysconf adds up the third level of all chips of a server. 0 where it is not told.
index_t cache_size(int level) {
  for (const auto& cache : benchmark::CPUInfo::Get().caches)
    if (cache.level == level && cache.type != "Instruction") return cache.size;
  return 0;
}

const int registered = [] {
  const index_t l1 = cache_size(1), l2 = cache_size(2), l3 = cache_size(3);
  for_thread_counts([&](int threads) {  // half of a cache; a cache of unknown size has no row
    for (const bool written : {false, true}) {
      if (l1 > 0) add_level("L1", l1 / 2, threads, written);
      if (l2 > 0) add_level("L2", l2 / 2, threads, written);
      if (l3 > 0) add_level("L3", l3 / 2 / threads, threads, written);
      add_level("DRAM", 8 * std::max<index_t>(l3, index_t{1} << 25) / threads, threads, written);
    }
  });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
