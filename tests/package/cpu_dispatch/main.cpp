// SPDX-License-Identifier: MIT
// consumer [NAME]: prints the kernels that it takes, and fails if they are not those of that name, or compute something
// else, or if a program without -march was compiled for more than it was told.
#include <rwkv7/exec/dispatch.hpp>
#include <rwkv7/timemix.hpp>

#include <cstdio>
#include <string_view>

#if defined(__SSE3__) || defined(__AVX__)
#error "the package hands flags to its users"
#endif

float step(const rwkv7::dispatch_executor<>& exec, rwkv7::index_t N);

int main(int argc, char** argv) {
  const rwkv7::dispatch_executor<> best;
  std::printf("%s of", best.name());
  for (const auto& unit : rwkv7::dispatch_units()) {
    std::printf(" %s%s", unit.name, unit.usable ? "" : " (not here)");
    if (!unit.usable) continue;
    for (const rwkv7::index_t N : {3, 64}) {
      const auto n = static_cast<float>(N);
      if (step(rwkv7::dispatch_executor<>(unit.name), N) != n * n * n / 8) return 1;
    }
  }
  std::printf("\n");
  return argc > 1 && std::string_view(argv[1]) != best.name() ? 2 : 0;
}
