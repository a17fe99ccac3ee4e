// SPDX-License-Identifier: MIT
// Opening a checkpoint of 1.5 billion parameters in f16, 3 GB of zeros in a temporary folder, in each format: the time,
// and how much of it is in memory before the first token. Linux; the other numbers of a row mean nothing here.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/language_model.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

/// A checkpoint of these sizes, every tensor the same zeros.
tensor_file zeros(const model_sizes& sizes, index_t rank, std::vector<std::byte>& memory) {
  model_weights parameters;
  parameters.layers.resize(static_cast<std::size_t>(sizes.layers));
  tensor_file file{.name = "zeros", .format = "memory"};
  for_each_parameter(x070, parameters, sizes, [&](const std::string& name, const auto&, const auto& axes, presence p) {
    stored_tensor tensor{.name = name, .type = storage::f16};
    for (const auto& [letter, extent] : axes)
      tensor.shape.push_back(std::string_view(letter) == "rank" ? rank : extent);
    tensor.strides = dense_strides(tensor.shape);
    if (p != presence::unused) file.tensors.push_back(std::move(tensor));
  });
  for (const auto& tensor : file.tensors)
    memory.resize(std::max(memory.size(), static_cast<std::size_t>(dense_bytes(tensor.type, tensor.shape).value())));
  for (auto& tensor : file.tensors)
    tensor.bytes = std::span(memory).first(static_cast<std::size_t>(dense_bytes(tensor.type, tensor.shape).value()));
  diagnosis problem;
  detail::finish_tensors(file, problem);
  return file;
}

/// Memory of this process that is in RAM, in MB.
double resident() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1000;
  return 0;
}

void open(benchmark::State& state, checkpoint_format format, const char* name) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("rwkv7_bench_" + std::to_string(std::random_device{}()));
  std::filesystem::create_directory(folder);
  const auto path = folder / name;
  diagnosis problem;
  {
    std::vector<std::byte> memory;
    const model_sizes sizes{.V = 65536, .C = 2048, .layers = 24, .H = 32, .N = 64, .H_kv = 32, .F = 8192};
    problem = write_checkpoint(path, zeros(sizes, 96, memory), format, {}, [](std::size_t) {});
  }
  if (problem) state.SkipWithError(problem.message());
  double before = 0, after = 0;
  while (state.KeepRunning()) {
    state.PauseTiming();
    before = resident();
    state.ResumeTiming();
    const auto model = language_model<>::open(path);
    state.PauseTiming();
    after = resident();
    state.ResumeTiming();
  }
  if (!problem) state.counters["file_GB"] = static_cast<double>(std::filesystem::file_size(path)) * 1e-9;
  state.counters["resident_MB"] = after - before;
  std::filesystem::remove_all(folder);
}

const int registered = [] {
  using enum checkpoint_format;
  for (const auto& [format, name] : {std::pair(safetensors, "safetensors"), {pth, "pth"}, {gguf, "gguf"}})
    benchmark::RegisterBenchmark((std::string("model/open/") + name).c_str(),
                                 [format = format, name = name](benchmark::State& state) { open(state, format, name); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond)
        ->Iterations(5);
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
