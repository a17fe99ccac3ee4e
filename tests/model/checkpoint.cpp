// SPDX-License-Identifier: MIT
// A published checkpoint, against logits its publisher gives and against NumPy in float64. Needs RWKV7_TEST_DATA.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>

#include "rwkv7/model/language_model.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/model_call.hpp"
#include "support/safetensors_file.hpp"
#include "support/skip.hpp"

using namespace rwkv7_test;
using rwkv7::language_model;
using rwkv7::x070;

namespace {

const std::string folder = RWKV7_TEST_DATA_DIR;
const std::string checkpoint = "tiny-rwkv-7v0-834K";

bool data_missing() {
  if (!folder.empty()) return false;
  skip("a published checkpoint: RWKV7_TEST_DATA is not set");
  return true;
}

template <class T>
language_model<x070, T> open() {
  return language_model<x070, T>::open(folder + "/" + checkpoint + "-F32.safetensors");
}

std::vector<double> doubles(const std::string& file) {
  std::ifstream stream(folder + "/" + checkpoint + file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  std::vector<double> values(bytes.size() / sizeof(double));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(double));
  return values;
}

struct published {
  nlohmann::json all = nlohmann::json::parse(std::ifstream(folder + "/" + checkpoint + "-expected.json"));
  std::vector<std::int32_t> prompt = all["prompt_tokens"], long_prompt = all["long_prompt_tokens"];
  std::vector<double> last_logits = all["logits_last_expected_rwkvcpp"];
  std::vector<double> long_logits = doubles("-long-logits-f64.bin");   // [64, V]
  std::vector<double> long_states = doubles("-long-state-S-f64.bin");  // [layers, H, N, N]
};

/// S of all layers of a pool of one slot.
template <class T>
std::vector<T> states_of(const language_model<x070, T>& model, state_pool<T>& state) {
  std::vector<T> S;
  for (index_t i = 0; i < model.sizes().layers; ++i) {
    const auto layer = elements(rwkv7::state_of_layer<x070>(model.sizes(), state.in_place(), i).att.S.final);
    S.insert(S.end(), layer.begin(), layer.end());
  }
  return S;
}

template <class T>
std::vector<T> last_row(const std::vector<T>& logits, std::size_t width) {
  return {logits.end() - static_cast<std::ptrdiff_t>(width), logits.end()};
}

}  // namespace

TEST_CASE("sizes and ranks are those of the file") {
  if (data_missing()) return;
  const auto model = open<float>();
  CHECK(model.sizes().V == 256);
  CHECK(model.sizes().C == 64);
  CHECK(model.sizes().layers == 12);
  CHECK(model.sizes().H == 1);
  CHECK(model.sizes().N == 64);
  CHECK(model.sizes().H_kv == 1);
  CHECK(model.sizes().F == 256);
  CHECK(model.state_size() == 12 * (2 * 64 + 64 * 64));
}

TEST_CASE("the reference executor in double agrees with NumPy in float64 on every logit and state") {
  if (data_missing()) return;
  const published want;
  const auto model = open<double>();
  rwkv7::reference_executor exec;
  state_pool<double> state(model, 1);
  const auto logits = prefill(model, exec, want.long_prompt, 64, state);
  const double of_logits = max_abs(logits, want.long_logits);
  const double of_states = max_abs(states_of(model, state), want.long_states);
  CHECK(of_logits <= budget::definition_of_model);
  CHECK(of_states <= budget::definition_of_model);

  std::string text;
  for (const auto id : greedy(model, exec, logits, 40, state)) text += static_cast<char>(id);
  std::printf("reference in double, 64 tokens: logits %.1e, states %.1e max abs from float64\n", of_logits, of_states);
  std::printf("greedy text, which no fault seems to change: \"%s\"\n", text.c_str());
}

TEST_CASE("the cpu executors agree with the published logits and with NumPy in float64") {
  if (data_missing()) return;
  const published want;
  const auto model = open<float>();
  double short_worst = 0, long_worst = 0, state_worst = 0;
  const auto run = [&](auto& exec) {
    state_pool<float> state(model, 1), long_state(model, 1);
    const auto logits = prefill(model, exec, want.prompt, 3, state);
    const double of_short = max_abs(last_row(logits, want.last_logits.size()), want.last_logits);
    const double of_long = max_abs(prefill(model, exec, want.long_prompt, 64, long_state), want.long_logits);
    const double of_states = relative_l2(states_of(model, long_state), want.long_states);
    CHECK(of_short <= budget::published_last_logits);
    CHECK(of_long <= budget::published_all_logits);
    CHECK(of_states <= budget::published_states);
    short_worst = std::fmax(short_worst, of_short);
    long_worst = std::fmax(long_worst, of_long);
    state_worst = std::fmax(state_worst, of_states);
  };
  for_each_arch(run);
  rwkv7::thread_executor team(2);
  any_cpu_executor threads(any_threads{team});
  run(threads);
  std::printf(
      "cpu in float, worst executor: last logits %.2e max abs from the published; of 64 tokens all logits "
      "%.2e max abs, states %.2e relative L2 from float64\n",
      short_worst, long_worst, state_worst);
}

TEST_CASE("a prompt in parts, whatever their length, gives what it gives at once") {
  if (data_missing()) return;
  const published want;
  const auto model = open<float>();
  auto exec = one_thread();
  state_pool<float> whole(model, 1);
  const auto logits = prefill(model, exec, want.long_prompt, 64, whole);
  for (const index_t chunk : {1, 2, 7, 16, 31, 32, 33, 63}) {
    CAPTURE(chunk);
    state_pool<float> state(model, 1);
    const double of_logits = relative_l2(prefill(model, exec, want.long_prompt, chunk, state), logits);
    const double of_state = relative_l2(state.values, whole.values);
    CHECK(of_logits <= budget::split);
    CHECK(of_state <= budget::split);
    std::printf("in parts of %2d: logits %.1e, state %.1e relative L2 from those at once\n", static_cast<int>(chunk),
                of_logits, of_state);
  }
}
