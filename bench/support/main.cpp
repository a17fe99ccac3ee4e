// SPDX-License-Identifier: MIT
/// The benchmark program: Google Benchmark with what a result must be read with in its context.
#include <benchmark/benchmark.h>
#include <Eigen/Core>

#include <fstream>
#include <string>
#include <thread>

#include "rwkv7/core/arch.hpp"
#include "rwkv7/version.hpp"

namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string dotted(int a, int b, int c) {
  return std::to_string(a) + "." + std::to_string(b) + "." + std::to_string(c);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext(
      "rwkv7", dotted(RWKV7_VERSION_MAJOR, RWKV7_VERSION_MINOR, RWKV7_VERSION_PATCH) + " " + RWKV7_BENCH_COMMIT);
  benchmark::AddCustomContext("cpu",
                              cpu_model() + ", " + std::to_string(std::thread::hardware_concurrency()) + " threads");
  benchmark::AddCustomContext("architecture", rwkv7::native_arch::name());
  benchmark::AddCustomContext("xsimd", dotted(XSIMD_VERSION_MAJOR, XSIMD_VERSION_MINOR, XSIMD_VERSION_PATCH));
  benchmark::AddCustomContext("eigen", dotted(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION));
  benchmark::AddCustomContext("compiler", std::string(RWKV7_BENCH_COMPILER) + " " + RWKV7_BENCH_FLAGS);
  benchmark::AddCustomContext("columns",
                              "x_NAME: time of NAME / ours, in turn in this run; max_err, NAME_err: max |error| "
                              "against the reference executor / max |value|");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
