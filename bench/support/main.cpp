// SPDX-License-Identifier: MIT
/// The benchmark program: Google Benchmark with rivals, and with what a result must be read with in its context.
#include <benchmark/benchmark.h>
#include <Eigen/Core>

#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "peers/llama.hpp"
#include "rwkv7/version.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"
#include "support/options.hpp"

namespace {

constexpr const char* usage = R"(
Kernels, rivals and whole models, besides the options of Google Benchmark:

  --cpu=NAME          kernels: baseline, avx2, avx512 or avx512vnni; the best that this machine can use
  --peer_llama=DIR    ratios to llama.cpp: DIR is package/bins/linux-x64 after
                      npm pack @node-llama-cpp/linux-x64@3.22.1 && tar -xzf node-llama-cpp-linux-x64-3.22.1.tgz
  --model=FILE        rows model/prefill and model/decode of this checkpoint
  --model_gguf=FILE   the same weights for llama.cpp
)";

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string dotted(int a, int b, int c) {
  return std::to_string(a) + "." + std::to_string(b) + "." + std::to_string(c);
}

/// Takes our options out of the arguments. Nothing when one of them makes no sense, which has then been said.
bool read_options(int& argc, char** argv, rwkv7_bench::options& o) {
  const struct {
    std::string_view name;
    std::string* value;
  } known[] = {
      {"--cpu=", &o.cpu}, {"--peer_llama=", &o.peer_llama}, {"--model=", &o.model}, {"--model_gguf=", &o.model_gguf}};
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    bool ours = false;
    for (const auto& option : known) {
      if (argument.substr(0, option.name.size()) != option.name) continue;
      *option.value = argument.substr(option.name.size());
      if (option.value->empty()) {
        std::fprintf(stderr, "rwkv7_bench: %s needs a value\n", argv[i]);
        return false;
      }
      ours = true;
    }
    if (!ours) argv[kept++] = argv[i];
  }
  argc = kept;
  if (!o.model.empty() && rwkv7_bench::rows_from_options().empty()) {
    std::fprintf(stderr, "rwkv7_bench: --model: built without whole models (RWKV7_BUILD_MODEL)\n");
    return false;
  }
  if (o.model_gguf.empty() || (!o.model.empty() && !o.peer_llama.empty())) return true;
  std::fprintf(stderr, "rwkv7_bench: --model_gguf needs --model and --peer_llama\n");
  return false;
}

int run(int argc, char** argv) {
  std::string command;
  for (int i = 0; i < argc; ++i) command.append(i ? " " : "").append(argv[i]);
  if (command.find("--help") != std::string::npos) std::fputs(usage, stdout);
  benchmark::Initialize(&argc, argv);
  rwkv7_bench::options options;
  if (!read_options(argc, argv, options) || benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;

  if (!options.cpu.empty()) rwkv7_bench::use_kernels(options.cpu);
  benchmark::AddCustomContext(
      "rwkv7", dotted(RWKV7_VERSION_MAJOR, RWKV7_VERSION_MINOR, RWKV7_VERSION_PATCH) + " " + RWKV7_BENCH_COMMIT);
  benchmark::AddCustomContext("command", command);
  benchmark::AddCustomContext("cpu",
                              cpu_model() + ", " + std::to_string(std::thread::hardware_concurrency()) + " threads");
  benchmark::AddCustomContext("architecture", rwkv7_bench::one_thread()->name());
  benchmark::AddCustomContext("xsimd", dotted(XSIMD_VERSION_MAJOR, XSIMD_VERSION_MINOR, XSIMD_VERSION_PATCH));
  benchmark::AddCustomContext("eigen", dotted(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION));
  benchmark::AddCustomContext("compiler", std::string(RWKV7_BENCH_COMPILER) + " " + RWKV7_BENCH_FLAGS);
  if (!options.peer_llama.empty()) {
    rwkv7_bench::llama().reset(new rwkv7_bench::llama_peer{options.peer_llama});
    benchmark::AddCustomContext("llama.cpp", "@node-llama-cpp/linux-x64@3.22.1 (llama.cpp 0.5.0, ggml 0.25.1), " +
                                                 rwkv7_bench::llama()->cpu_build());
  }
  benchmark::AddCustomContext(
      "columns",
      "x_NAME: time of NAME / ours, in turn in this run, median of 11 pairs; _low, _high: their quartiles; max_err, "
      "NAME_err: max |error| against double / max |value|; max_logit_diff: of ours and llama.cpp's");
  for (const auto add_rows : rwkv7_bench::rows_from_options()) add_rows(options);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int status = 1;
  try {
    status = run(argc, argv);
  } catch (const std::exception& problem) {  // a peer or a checkpoint that cannot be used
    std::fprintf(stderr, "rwkv7_bench: %s\n", problem.what());
  }
  rwkv7_bench::remove_rows();  // now: at exit a peer's libraries would be gone first
  return status;
}
