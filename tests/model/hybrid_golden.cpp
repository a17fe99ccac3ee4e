// SPDX-License-Identifier: MIT
// Whole linearised Transformers, from the file to the logits, against NumPy in float64.
#include <doctest/doctest.h>

#include <cstdio>
#include <limits>

#include "rwkv7/exec/reference.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/hybrid_model.hpp"

using namespace rwkv7_test;
using rwkv7::model_config;
using rwkv7::variant;

namespace {

/// The largest relative L2 distance of logits and states; positions are the same.
template <variant V, class T, class Exec>
double distance_from_golden(const family_case& golden, const language_model<V, T>& model, Exec& exec) {
  const auto& s = model.sizes();
  const index_t slots = golden.slots();
  auto states = initial_states(golden, model);
  const view<T, 2> all(states.data(), {slots, model.state_size()});
  const auto logits = forward(model, exec, golden.tokens(), golden.token_ids(), carried<T, 2>::in_place(all)).logits;
  double worst = relative_l2(logits, golden.values<double>("logits"));
  CHECK(!std::isnan(worst));
  index_t time_mixes = 0;
  for (index_t i = 0; i < s.layers; ++i) {
    if (golden.is_attention(i)) continue;
    const auto part = rwkv7::state_of_time_mix<V>(s, carried<T, 2>::in_place(all), time_mixes++);
    std::vector<T> rows;
    for (index_t row = 0; row < slots * s.H * s.N; ++row)
      if (row % s.N % golden.size("state_stride") == 0) {
        const T* from = part.S.final.at(row / (s.H * s.N), row / s.N % s.H, row % s.N, 0);
        rows.insert(rows.end(), from, from + s.N);
      }
    worst = std::fmax(worst, relative_l2(rows, golden.values<double>("state/" + std::to_string(i))));
  }
  const auto positions = golden.final_positions();
  for (index_t slot = 0; slot < slots; ++slot)
    CHECK(rwkv7::stored_position(all.at(slot, 0)) == positions[count_of(slot)]);
  return worst;
}

template <variant V>
void check_model(const char* name) {
  CAPTURE(name);
  const family_case golden(name);
  rwkv7::reference_executor reference;
  const double definition = distance_from_golden(golden, open_family<V, double>(golden, config_of(golden)), reference);
  CHECK(definition <= 1e-10);
  double worst = 0;
  auto model = open_family<V, float>(golden, config_of(golden));
  const auto check = [&](auto& exec) { worst = std::fmax(worst, distance_from_golden(golden, model, exec)); };
  for_each_cpu_executor(check);
  const packed_parameters memory(model);
  auto exec = one_thread();
  check(exec);
  CHECK(worst <= 1e-5);
  std::printf("%-18s reference in double: %.1e   cpu in float: %.1e   (relative L2)\n", name, definition, worst);
}

constexpr variant with(variant v, bool variant::*field, bool value) {
  v.*field = value;
  return v;
}
constexpr variant arwkv_with(rwkv7::readout_norm norm, rwkv7::gate_form gate) {
  variant v = rwkv7::arwkv;
  v.norm = norm, v.gate = gate;
  return v;
}

}  // namespace

TEST_CASE("cxa073, with 074") { check_model<rwkv7::cxa073>("cxa073"); }
TEST_CASE("cxa075") { check_model<rwkv7::cxa075>("cxa075"); }
TEST_CASE("cxa076 and 076r") {
  check_model<rwkv7::cxa076>("cxa076");
  check_model<rwkv7::cxa076r>("cxa076r");
}
TEST_CASE("cxa077 and 078, the latter with attention that turns") {
  check_model<rwkv7::cxa078>("cxa077");
  check_model<rwkv7::cxa078>("hxa078");
}
TEST_CASE("cxa079, and hxa079 whose rings turn over") {
  check_model<rwkv7::cxa079>("cxa079");
  check_model<with(rwkv7::cxa079, &variant::qk_norm, false)>("hxa079_layer_0");
  check_model<with(rwkv7::cxa079, &variant::qk_norm, false)>("hxa079_window");
}
TEST_CASE("hxa07a, 07b and 07c") {
  check_model<with(rwkv7::hxa07a, &variant::qk_norm, false)>("hxa07a");
  check_model<rwkv7::hxa07b>("hxa07b");
  check_model<rwkv7::hxa07c>("hxa07c");
}
TEST_CASE("ARWKV, with and without norm and gate") {
  check_model<arwkv_with(rwkv7::readout_norm::group_norm, rwkv7::gate_form::sigmoid)>("arwkv");
  check_model<rwkv7::arwkv>("arwkv_7b");
  check_model<arwkv_with(rwkv7::readout_norm::none, rwkv7::gate_form::one_plus_sigmoid)>("arwkv_one_plus");
  check_model<arwkv_with(rwkv7::readout_norm::group_norm, rwkv7::gate_form::none)>("arwkv_no_gate");
}
TEST_CASE("RAD-RWKV7") { check_model<rwkv7::rad_rwkv7>("rad_rwkv7"); }

TEST_CASE("residuals lean to layer 0 as in training: to zeros where it is attention") {
  const family_case golden("hxa079_layer_0");
  auto config = config_of(golden);
  config.first_is_layer_0 = true;
  const auto model = open_family<with(rwkv7::cxa079, &variant::qk_norm, false), double>(golden, config);
  auto states = initial_states(golden, model);
  const view<double, 2> all(states.data(), {golden.slots(), model.state_size()});
  rwkv7::reference_executor exec;
  const auto logits =
      forward(model, exec, golden.tokens(), golden.token_ids(), carried<double, 2>::in_place(all)).logits;
  CHECK(relative_l2(logits, golden.values<double>("absolute/logits")) <= 1e-10);
}

TEST_CASE("no setting of a config can be changed without notice") {
  const auto differs = []<variant V>(const char* name, auto change) {
    const family_case golden(name);
    auto config = config_of(golden);
    change(config);
    rwkv7::reference_executor exec;
    return distance_from_golden(golden, open_family<V, double>(golden, config), exec) > 1e-4;
  };
  constexpr auto no_norm = with(rwkv7::cxa079, &variant::qk_norm, false);
  CHECK(differs.operator()<rwkv7::cxa079>("cxa079", [](model_config& c) { c.norm_eps = 1e-6; }));
  CHECK(differs.operator()<rwkv7::cxa079>("cxa079", [](model_config& c) { c.head_norm_eps = 0; }));
  CHECK(differs.operator()<rwkv7::cxa079>("cxa079", [](model_config& c) { c.rope_theta = 1e6; }));
  CHECK(differs.operator()<rwkv7::cxa078>("hxa078", [](model_config& c) { c.attention_rope = false; }));
  CHECK(differs.operator()<no_norm>("hxa079_window", [](model_config& c) { c.window = 4; }));
  CHECK(differs.operator()<no_norm>("hxa079_window", [](model_config& c) { c.window = 5; }));
  CHECK(differs.operator()<no_norm>("hxa079_layer_0", [](model_config& c) { c.context = 6; }));
  CHECK(differs.operator()<arwkv_with(rwkv7::readout_norm::group_norm, rwkv7::gate_form::none)>(
      "arwkv_no_gate", [](model_config& c) { c.group_norm_eps = 64e-5; }));
}
