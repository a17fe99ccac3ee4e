// SPDX-License-Identifier: MIT
/// The benchmark program: Google Benchmark with rivals, and with what a result must be read with in its context.
#include <benchmark/benchmark.h>
#include <Eigen/Core>

#include <algorithm>
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
                      with --cpu=avx2 its build for Haswell, else its own choice
  --model=FILE        rows model/prefill and model/decode of this checkpoint, for llama.cpp as GGUF in a temporary file
  --model_shape=CxLxV the same of a made-up one: channels, layers, vocabulary (768x12x65536 is RWKV-7 0.1B)
  --model_types=LIST  its large matrices in each of these: as_is, f16, bf16, int8, int8_rows, int4, nf4
                      (llama.cpp: F16, BF16, Q8_0, Q4_0); only as it is
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

bool read_shape(const std::string& text, rwkv7_bench::options& o) {
  long long C = 0, layers = 0, V = 0;
  char end = 0;
  if (std::sscanf(text.c_str(), "%9lldx%9lldx%9lld%c", &C, &layers, &V, &end) != 3) return false;
  if (C < 64 || C % 64 != 0 || layers < 1 || V < 1 || std::max(4 * C, V) > (1LL << 31) / C) return false;
  o.shape = {C, layers, V};
  return true;
}

bool read_types(std::string_view list, rwkv7_bench::options& o) {
  using rwkv7::dtype;
  for (std::size_t at = 0; at <= list.size(); at += 1) {
    const auto name = list.substr(at, std::min(list.find(',', at), list.size()) - at);
    at += name.size();
    if (name == "as_is") {
      o.model_types.emplace_back();
      continue;
    }
    const auto before = o.model_types.size();
    for (const auto t : {dtype::f16, dtype::bf16, dtype::int8, dtype::int8_rows, dtype::int4, dtype::nf4})
      if (name == rwkv7::name_of(t)) o.model_types.emplace_back(t);
    if (o.model_types.size() == before) return false;
  }
  return true;
}

/// Takes our options out of the arguments. Nothing when one of them makes no sense, which has then been said.
bool read_options(int& argc, char** argv, rwkv7_bench::options& o) {
  std::string shape, types;
  const struct {
    std::string_view name;
    std::string* value;
  } known[] = {{"--cpu=", &o.cpu},
               {"--peer_llama=", &o.peer_llama},
               {"--model=", &o.model},
               {"--model_shape=", &shape},
               {"--model_types=", &types}};
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
  const auto refused = [](const char* why, const std::string& what = {}) {
    std::fprintf(stderr, "rwkv7_bench: %s%s\n", why, what.c_str());
    return false;
  };
  if (!shape.empty() && !read_shape(shape, o))
    return refused("--model_shape: want CxLxV, C a multiple of 64, at most 2^31 weights in a matrix; got ", shape);
  if (!types.empty() && !read_types(types, o)) return refused("--model_types: want names from --help; got ", types);
  const bool model = !o.model.empty() || o.shape;
  if (!o.model.empty() && o.shape) return refused("--model and --model_shape: want one of them");
  if (!model && !types.empty()) return refused("--model_types needs --model or --model_shape");
  if (model && rwkv7_bench::rows_from_options().empty())
    return refused("--model: built without whole models (RWKV7_BUILD_MODEL)");
  return true;
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
    rwkv7_bench::llama().reset(
        new rwkv7_bench::llama_peer{options.peer_llama, options.cpu == "avx2" ? "libggml-cpu-haswell.so" : ""});
    benchmark::AddCustomContext("llama.cpp", "@node-llama-cpp/linux-x64@3.22.1 (llama.cpp 0.5.0, ggml 0.25.1), " +
                                                 rwkv7_bench::llama()->cpu_build());
  }
  benchmark::AddCustomContext(
      "columns",
      "x_NAME: time of NAME / ours, in turn in this run, median of 11 pairs, of 5 where a run takes 0.25 s; _low, "
      "_high: their quartiles; max_err, "
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
