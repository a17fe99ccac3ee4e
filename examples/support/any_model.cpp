// SPDX-License-Identifier: MIT
// In a unit of its own: it compiles every published variant.
#include "any_model.hpp"

#include <rwkv7/model/detect_variant.hpp>

namespace examples {

namespace {

template <rwkv7::variant V>
class model_of final : public any_model {
 public:
  explicit model_of(rwkv7::language_model<V> model) : model_(std::move(model)) {}

  void load_tuned(const std::filesystem::path& path, const rwkv7::view<float, 1>& state) const override {
    if constexpr (V.layers == rwkv7::layer_form::transformer)
      rwkv7::load_tuned_state<V>(path, model_.sizes(), state, model_.attention_layers());
    else
      rwkv7::load_tuned_state<V>(path, model_.sizes(), state);
  }
  const rwkv7::model_sizes& sizes() const override { return model_.sizes(); }
  rwkv7::index_t state_size() const override { return model_.state_size(); }
  rwkv7::state_format state_format() const override { return rwkv7::state_format_of(model_); }
  std::size_t weights_size() const override { return model_.weights_size(); }
  void pack(std::span<std::byte> memory) override { model_.pack(memory); }
  std::size_t workspace_size(const rwkv7::sequences& seq) const override { return model_.workspace_size(seq); }
  void forward(program_executor& exec, const rwkv7::sequences& seq, const tokens& ids, const outputs& out,
               const states& state, rwkv7::workspace memory) const override {
    model_.forward(exec, seq, ids, out, state, memory);
  }
  void prefill(program_executor& exec, const tokens& ids, rwkv7::index_t chunk, const outputs& out,
               const rwkv7::view<float, 2>& state, rwkv7::workspace memory,
               const std::function<void(rwkv7::index_t)>& after) const override {
    rwkv7::prefill(model_, exec, ids, chunk, out, state, memory, after);
  }

 private:
  rwkv7::language_model<V> model_;
};

/// The variant with or without a norm on queries and keys.
constexpr rwkv7::variant with_norm(rwkv7::variant v, bool norm) {
  v.qk_norm = norm;
  return v;
}
/// An ARWKV with these two switches, which its published models have in all positions.
constexpr rwkv7::variant arwkv_of(rwkv7::readout_norm norm, rwkv7::gate_form gate) {
  rwkv7::variant v = rwkv7::arwkv;
  v.norm = norm, v.gate = gate;
  return v;
}

}  // namespace

std::unique_ptr<any_model> any_model::open(const std::filesystem::path& path, const options& given) {
  using namespace rwkv7;
  using norm = readout_norm;
  using gate = gate_form;
  model_config config;
  auto file = open_checkpoint(path);
  if (given.has("--config"))
    read_config(given.text("--config"), config);
  else if (const auto beside = config_beside(path); beside && is_hybrid(file))
    read_config(*beside, config);
  if (given.has("--variant")) config.architecture = given.text("--variant");
  if (given.has("--gate")) config.gate = given.text("--gate");
  if (given.has("--norm-eps")) config.norm_eps = given.real("--norm-eps", 0);
  if (given.has("--rope-theta")) config.rope_theta = given.real("--rope-theta", 0);
  config.context = given.whole<index_t>("--context", config.context, 1, index_t{1} << 30);

  variant wanted;
  if (const auto problem = detect_variant(file, config, wanted)) throw bad_input(problem.message());
  std::unique_ptr<any_model> result;
  with_variant<x070, cxa073, cxa075, cxa076, cxa076r, cxa078, with_norm(cxa078, false), cxa079,
               with_norm(cxa079, false), hxa07a, with_norm(hxa07a, false), hxa07b, with_norm(hxa07b, false), hxa07c,
               with_norm(hxa07c, false), arwkv_of(norm::none, gate::none), arwkv_of(norm::none, gate::sigmoid),
               arwkv_of(norm::none, gate::one_plus_sigmoid), arwkv_of(norm::group_norm, gate::none),
               arwkv_of(norm::group_norm, gate::sigmoid), arwkv_of(norm::group_norm, gate::one_plus_sigmoid),
               rad_rwkv7>(wanted, [&]<variant V>() {
    result = std::make_unique<model_of<V>>(language_model<V>::from(std::move(file), config));
  });
  if (!result) throw bad_input(path.string() + ": this program was not compiled for its variant");
  return result;
}

}  // namespace examples
