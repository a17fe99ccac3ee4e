// SPDX-License-Identifier: MIT
// A linearised Transformer in which some layers stay attention, as hxa079 does it: a small one of random parameters
// runs and goes on from a copied state; then what a state takes in memory, against the keys and values that the
// Transformer would keep.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>
#include <rwkv7/model.hpp>
#include <string>
#include <vector>

#include "support/random_checkpoint.hpp"

using namespace rwkv7;

namespace {

constexpr variant hxa079 = [] {
  variant v = cxa079;
  v.qk_norm = false;  // the teacher had none
  return v;
}();

// Where Reka-Flash3's hxa079 has attention: in 6 of 44 layers.
const std::vector<index_t> placement{8, 15, 22, 29, 36, 43};

constexpr index_t layers = 44, V = 64, T = 40;

language_model<hxa079> open_small_model(const std::filesystem::path& path, index_t context) {
  hybrid_weights shapes;
  shapes.layers.resize(layers);
  shapes.first = 0;
  for (const index_t i : placement) shapes.layers[static_cast<std::size_t>(i)].is_attention = true;
  examples::write_random_checkpoint(path, hxa079, shapes,
                                    {.V = V, .C = 32, .layers = layers, .H = 4, .N = 8, .H_kv = 1, .F = 48});
  model_config config;
  config.norm_eps = 1e-5;
  config.rope_theta = 8e6;
  config.attention_layers = placement;
  config.tied_head = true;
  config.context = context;
  return language_model<hxa079>::open(path, config);
}

// The logits of the last token, with the state carried on in calls of `step` tokens.
std::vector<float> run(const language_model<hxa079>& model, const std::vector<std::int32_t>& tokens, index_t step,
                       std::vector<float>& state) {
  inline_executor exec;
  std::vector<float> last(V);
  std::vector<std::byte> scratch(model.workspace_size(dense{1, step}));
  const auto count = static_cast<index_t>(tokens.size());
  for (index_t t = 0; t < count; t += step) {
    const index_t n = std::min(step, count - t);
    model.forward(exec, dense{1, n}, view<const std::int32_t, 2>(&tokens[static_cast<std::size_t>(t)], {1, n}),
                  {.last = as_view(last, {1, V})}, carried<float, 2>::in_place(as_view(state, {1, model.state_size()})),
                  std::span(scratch));
  }
  return last;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    size += double(b[i]) * double(b[i]);
  }
  return std::sqrt(difference / size);
}

const char* yes(bool b) { return b ? "yes" : "no"; }

}  // namespace

int main() {
  const auto path = std::filesystem::temp_directory_path() /
                    ("rwkv7_hybrid_" + std::to_string(std::random_device{}()) + ".safetensors");
  const auto model = open_small_model(path, 16);
  std::vector<std::int32_t> tokens;
  for (index_t t = 0; t < T; ++t) tokens.push_back(static_cast<std::int32_t>(7 * t % V));

  std::vector<float> state(static_cast<std::size_t>(model.state_size())), by_token = state;
  const auto logits = run(model, tokens, T, state);
  const bool same = distance(run(model, tokens, 1, by_token), logits) < 1e-5;
  std::printf("%d layers, %d of them attention: token by token as in one call: %s\n", static_cast<int>(layers),
              static_cast<int>(model.sizes().attention), yes(same));

  auto branch = state;  // everything: the states of time-mix, the position, keys and values
  const auto left = run(model, {1, 2, 3}, 1, state), right = run(model, {1, 2, 3}, 1, branch);
  std::printf("a copied state goes on the same: %s\n", yes(left == right));
  std::filesystem::remove(path);

  // The sizes of Reka-Flash3. The Transformer keeps keys and values of all its layers in 16 bits; a state here is in
  // float throughout.
  model_sizes reka{.V = 100352, .C = 6144, .layers = layers, .H = 64, .N = 96, .H_kv = 8, .F = 19648, .attention = 6};
  std::printf("\nMB for one sequence   state of hxa079   of cxa079   keys and values of the Transformer\n");
  for (const index_t context : {index_t{4096}, index_t{32768}, index_t{1} << 20}) {
    const auto megabytes = [](index_t bytes) { return static_cast<double>(bytes) * 1e-6; };
    auto all_turned = reka;
    reka.context = context, all_turned.attention = 0;
    std::printf("%9d tokens      %15.0f %11.0f %21.0f\n", static_cast<int>(context),
                megabytes(model_state_size<hxa079>(reka) * index_t{sizeof(float)}),
                megabytes(model_state_size<hxa079>(all_turned) * index_t{sizeof(float)}),
                megabytes(layers * 2 * context * reka.H_kv * reka.N * index_t{sizeof(bf16)}));
  }
  return same && left == right ? 0 : 1;
}
