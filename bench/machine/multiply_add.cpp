// SPDX-License-Identifier: MIT
/// The most multiply-adds that registers allow: no memory is touched.
#include "rwkv7/backend/cpu/simd.hpp"
#include "support/machine.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7::backend::cpu;
using arch = rwkv7::native_arch;

// Twelve sums that do not wait for each other: two a cycle with a latency of four need eight, and with the two factors
// they fit into sixteen registers.
constexpr int chains = 12;
constexpr int steps = 1 << 18;

void multiply_add(float scale) {
  const vec<arch> a(scale), b(0.25f);
  vec<arch> sum[chains];
  for (int i = 0; i < chains; ++i) sum[i] = vec<arch>(static_cast<float>(i));  // equal ones the compiler would join
  for (int i = 0; i < steps; ++i) {
    RWKV7_UNROLL
    for (auto& s : sum) s = fma<arch>(s, a, b);
  }
  for (auto& s : sum) benchmark::DoNotOptimize(reduce_add<arch>(s));
}

const int registered = [] {
  for_thread_counts([](int threads) {
    add_limit("multiply_add/f32", "flop/s", 2.0 * chains * steps * static_cast<double>(lanes<arch>), threads, [](int) {
      float scale = 0.5f;
      benchmark::DoNotOptimize(scale);
      return [scale](index_t) { multiply_add(scale); };
    });
  });
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
