// SPDX-License-Identifier: MIT
#include "rwkv7/model/tuned_state.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "rwkv7/variant/catalogue.hpp"
#include "support/refused.hpp"
#include "support/safetensors_writer.hpp"

using namespace rwkv7_test;
using rwkv7::x070;

namespace {

constexpr rwkv7::model_sizes sizes{.V = 7, .C = 6, .layers = 2, .H = 2, .N = 3, .H_kv = 2, .F = 5};
constexpr std::size_t layer_size = 2 * 6 + 2 * 3 * 3, S_at = 2 * 6;

/// The value of one element, another one everywhere; exact in f16 and bf16.
float value(int layer, std::size_t element) {
  return static_cast<float>(layer * 64 + static_cast<int>(element)) - 50.0f;
}

std::vector<file_tensor> right() {
  std::vector<file_tensor> tensors;
  for (int layer = 0; layer < 2; ++layer) {
    std::vector<float> values(18);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(layer, i);
    tensors.push_back(f32_tensor("blocks." + std::to_string(layer) + ".att.time_state", {2, 3, 3}, values));
  }
  return tensors;
}

template <class T>
std::vector<T> loaded(const std::vector<file_tensor>& tensors) {
  const temporary_file file(safetensors_bytes(tensors));
  std::vector<T> slot(2 * layer_size, T(7));
  rwkv7::load_tuned_state<x070>(file.path(), sizes, view<T, 1>(slot.data(), {2 * layer_size}));
  return slot;
}

/// What is said about the file with one thing changed, after its name; the slot stays as it is.
std::string complaint_about(const std::function<void(std::vector<file_tensor>&)>& change) {
  auto tensors = right();
  change(tensors);
  const temporary_file file(safetensors_bytes(tensors));
  std::vector<float> slot(2 * layer_size, 7);
  const auto text = complaint_of(
      [&] { rwkv7::load_tuned_state<x070>(file.path(), sizes, view<float, 1>(slot.data(), {2 * layer_size})); });
  CHECK(slot == std::vector<float>(2 * layer_size, 7));
  const auto start = "rwkv7::tuned_state: " + rwkv7::detail::shown(file.path()) + ": ";
  return text.starts_with(start) ? text.substr(start.size()) : "not as expected: " + text;
}

}  // namespace

TEST_CASE_TEMPLATE("S of every layer is [H, value, key] as in the file, and all else zero", T, float, double) {
  const auto slot = loaded<T>(right());
  for (std::size_t layer = 0; layer < 2; ++layer)
    for (std::size_t i = 0; i < layer_size; ++i) {
      const float want = i < S_at ? 0.0f : value(static_cast<int>(layer), i - S_at);
      CHECK(slot[layer * layer_size + i] == static_cast<T>(want));
    }
}

TEST_CASE_TEMPLATE("in a Transformer the layers with time-mix are tuned, and nothing else is left", T, float, double) {
  constexpr auto V = rwkv7::arwkv;  // with token shift
  const rwkv7::model_sizes hybrid{
      .V = 7, .C = 6, .layers = 3, .H = 2, .N = 3, .H_kv = 1, .F = 5, .attention = 1, .context = 4};
  const std::vector<index_t> attention{1};
  auto tensors = right();
  tensors[1].name = "blocks.2.att.time_state";
  const auto load = [&](const std::vector<index_t>& layers, std::vector<T>& slot) {
    const temporary_file file(safetensors_bytes(tensors));
    const auto size = static_cast<index_t>(slot.size());
    return complaint_of(
        [&] { rwkv7::load_tuned_state<V>(file.path(), hybrid, view<T, 1>(slot.data(), {size}), layers); });
  };
  const std::size_t layer = 6 + 18, size = 2 + 2 * layer + 2 * 4 * 3;
  std::vector<T> slot(size, T(7));
  CHECK(load(attention, slot) == "nothing");
  std::vector<T> want(size);
  for (int i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 18; ++j)
      want[2 + static_cast<std::size_t>(i) * layer + 6 + j] = static_cast<T>(value(i, j));
  CHECK(slot == want);
  CHECK(load({}, slot) == "rwkv7::tuned_state: attention layers: got 0, want 1");
  CHECK(load({3}, slot) == "rwkv7::tuned_state: attention layers: got 0, want 1");
  CHECK(load({2}, slot).ends_with("blocks.1.att.time_state: is missing"));
  tensors.push_back(f32_tensor("blocks.1.att.time_state", {2, 3, 3}, std::vector<float>(18)));
  CHECK(load(attention, slot).ends_with("blocks.1.att.time_state: belongs to no state of this model"));
  CHECK(slot == want);
}

TEST_CASE_TEMPLATE("16-bit states are widened exactly", Narrow, rwkv7::f16, rwkv7::bf16) {
  auto tensors = right();
  for (auto& tensor : tensors) tensor = rounded<Narrow>(tensor, true);
  CHECK(loaded<float>(tensors) == loaded<float>(right()));
}

TEST_CASE("a file that does not fit the model is named, with the tensor") {
  CHECK(complaint_about([](auto& t) { t.pop_back(); }) == "blocks.1.att.time_state: is missing");
  CHECK(complaint_about([](auto& t) {
          t[0].shape = {3, 2, 3};
        }) == "blocks.0.att.time_state: shape: want 2 heads of 3 by 3");
  CHECK(complaint_about([](auto& t) { t[0].shape = {18}; }) ==
        "blocks.0.att.time_state: shape: want 2 heads of 3 by 3");
  CHECK(complaint_about([](auto& t) { t[1].dtype = "I32"; }) ==
        "blocks.1.att.time_state: dtype: got I32, want F32, F16 or BF16");
  for (const char* name : {"emb.weight", "blocks.2.att.time_state", "blocks.0.att.time_states", "blocks.00.att.x"})
    CHECK(complaint_about([&](auto& t) { t.push_back(f32_tensor(name, {1}, {0})); }) ==
          std::string(name) + ": belongs to no state of this model");
}

TEST_CASE("a slot of another size is refused") {
  const temporary_file file(safetensors_bytes(right()));
  std::vector<float> slot(2 * layer_size + 1, 7);
  for (const index_t size : {index_t{0}, index_t{2 * layer_size - 1}, index_t{2 * layer_size + 1}})
    CHECK(complaint_of([&] {
            rwkv7::load_tuned_state<x070>(file.path(), sizes, view<float, 1>(slot.data(), {size}));
          }).starts_with("rwkv7::tuned_state: slot"));
  CHECK(slot == std::vector<float>(2 * layer_size + 1, 7));
}
