// SPDX-License-Identifier: MIT
// rwkv7-test: dispatch
// The time-mix blocks of the catalogue's variants against NumPy in float64, layer by layer: the input of each is what
// NumPy had there, so that one mistake does not become three.
#include <doctest/doctest.h>

#include <cstdio>

#include "rwkv7/block/time_mix.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/rope_table.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_family.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// The largest relative L2 distance of anything that the layers with time-mix compute.
template <variant V, class T, class Exec>
double distance_from_golden(const family_case& golden, Exec& exec) {
  const dims d = golden.time_mix_dims();
  const sequences seq = golden.tokens();
  const index_t B = seq.batch(), tokens = seq.tokens(), slots = golden.slots(), half = d.N / 2;
  std::vector<double> frequency(static_cast<std::size_t>(half));
  rope_frequencies(golden.real("rope_theta"), view<double, 1>(frequency.data(), {half}));
  const auto positions = golden.positions();
  std::vector<T> cos(static_cast<std::size_t>(B * tokens * half)), sin = cos;
  const view<T, 3> cos_view(cos.data(), {B, tokens, half}), sin_view(sin.data(), {B, tokens, half});
  rope_table(exec, seq,
             rope_table_inputs<T>{.position = view<const std::int64_t, 1>(positions.data(), {slots}),
                                  .frequency = view<const double, 1>(frequency.data(), {half})},
             {.cos = cos_view, .sin = sin_view});

  double worst = 0;
  const auto compare = [&](const std::string& what, const std::vector<T>& got, const std::vector<double>& want) {
    REQUIRE(got.size() == want.size());
    const double distance = relative_l2(got, want);
    CAPTURE(what);
    CHECK(!std::isnan(distance));
    worst = std::fmax(worst, distance);
  };
  std::vector<T> v_first(static_cast<std::size_t>(B * tokens * d.D_kv())), k_first = v_first;
  bool produce = true;
  for (index_t i = 0; i < golden.size("layers"); ++i) {
    if (golden.is_attention(i)) continue;
    const std::string layer = std::to_string(i);
    const auto x = golden.values<T>("normed/" + layer);
    std::vector<T> y(x.size());
    auto shift = golden.initial<T>("shift/" + layer, slots * d.C);
    auto S = golden.initial<T>("state/" + layer, slots * d.H * d.N * d.N);
    const auto p = golden.time_mix(i);
    std::vector<std::byte> scratch(time_mix_workspace_size<T, V>(seq, d, p));
    const view<T, 2> shift_view(shift.data(), {slots, d.C});
    const view<T, 4> S_view(S.data(), {slots, d.H, d.N, d.N});
    const view<T, 3> first_v(v_first.data(), {B, tokens, d.D_kv()}), first_k(k_first.data(), {B, tokens, d.D_kv()});
    time_mix<V>(exec, seq, d, p,
                time_mix_inputs<T>{.x = view<const T, 3>(x.data(), {B, tokens, d.C}), .cos = cos_view, .sin = sin_view},
                view<T, 3>(y.data(), {B, tokens, d.C}), {.v = first_v, .k = first_k, .produce = produce},
                {{.initial = shift_view, .final = shift_view}, {.initial = S_view, .final = S_view}},
                workspace(scratch));
    produce = false;
    compare("mix/" + layer, y, golden.values<double>("mix/" + layer));
    std::vector<T> rows;
    for (index_t row = 0; row < slots * d.H * d.N; ++row)
      if (row % d.N % golden.size("state_stride") == 0)
        rows.insert(rows.end(), S.begin() + row * d.N, S.begin() + (row + 1) * d.N);
    compare("state/" + layer, rows, golden.values<double>("state/" + layer));
    if (golden.has("shift/" + layer)) compare("shift/" + layer, shift, golden.values<double>("shift/" + layer));
  }
  const auto compare_first = [&](const std::string& name, const std::vector<T>& got) {
    if (!golden.has(name)) return;
    const auto want = golden.values<double>(name);  // its heads repeated, or not
    const auto heads = static_cast<index_t>(want.size()) / (B * tokens * d.N), group = heads / d.H_kv;
    std::vector<double> unrepeated;
    for (std::size_t n = 0; n < want.size(); ++n)
      if (static_cast<index_t>(n) / d.N % heads % group == 0) unrepeated.push_back(want[n]);
    compare(name, got, unrepeated);
  };
  compare_first("v_first", v_first);
  if (V.key_residual) compare_first("k_first", k_first);
  return worst;
}

template <variant V>
void check_family(const char* name) {
  CAPTURE(name);
  const family_case golden(name);
  reference_executor reference;
  const double definition = distance_from_golden<V, double>(golden, reference);
  CHECK(definition <= budget::definition_of_model);
  double worst = 0;
  for_each_cpu_executor([&](auto& exec) { worst = std::fmax(worst, distance_from_golden<V, float>(golden, exec)); });
  CHECK(worst <= 1e-5);
  std::printf("%-18s reference in double: %.1e   cpu in float: %.1e   (relative L2)\n", name, definition, worst);
}

/// A variant with one field changed.
template <class T>
constexpr variant with(variant v, T variant::*field, T value) {
  v.*field = value;
  return v;
}

/// The blocks of another variant do not give these values.
template <variant V>
bool differs(const char* name) {
  const family_case golden(name);
  reference_executor reference;
  return distance_from_golden<V, double>(golden, reference) > 1e-3;
}

}  // namespace

TEST_CASE("cxa073, with 074") { check_family<cxa073>("cxa073"); }
TEST_CASE("cxa075") { check_family<cxa075>("cxa075"); }
TEST_CASE("cxa076 and 076r") {
  check_family<cxa076>("cxa076");
  check_family<cxa076r>("cxa076r");
}
TEST_CASE("cxa077 and 078") {
  check_family<cxa078>("cxa077");
  check_family<cxa078>("hxa078");
}
TEST_CASE("cxa079") {
  constexpr auto no_norm = with(cxa079, &variant::qk_norm, false);
  check_family<cxa079>("cxa079");
  check_family<no_norm>("hxa079_layer_0");
  check_family<no_norm>("hxa079_window");
}
TEST_CASE("hxa07a, 07b and 07c") {
  check_family<with(hxa07a, &variant::qk_norm, false)>("hxa07a");
  check_family<hxa07b>("hxa07b");
  check_family<hxa07c>("hxa07c");
}
TEST_CASE("ARWKV, with and without norm and gate") {
  check_family<x070>("arwkv");
  check_family<arwkv>("arwkv_7b");
  check_family<with(arwkv, &variant::gate, gate_form::one_plus_sigmoid)>("arwkv_one_plus");
  check_family<with(x070, &variant::gate, gate_form::none)>("arwkv_no_gate");
}
TEST_CASE("RAD-RWKV7") { check_family<rad_rwkv7>("rad_rwkv7"); }

TEST_CASE("no head of keys or values is repeated in scratch memory") {
  constexpr index_t C = 64, H = 16, N = 32, D = H * N, tokens = 128;
  const auto size = [&]<variant V>(index_t H_kv) {
    const dims d{.C = C, .H = H, .N = N, .H_kv = H_kv};
    return static_cast<index_t>(time_mix_workspace_size<float, V>(dense{1, tokens}, d, {}));
  };
  const auto bytes = [](index_t width) { return tokens * width * index_t{sizeof(float)}; };
  for (const index_t H_kv : {1, 2, 4, 8}) {
    CAPTURE(H_kv);
    const index_t D_kv = H_kv * N;
    // v and both mixes are as narrow as the projections; only the keys before their update need a place of their own.
    CHECK(size.operator()<cxa079>(H) - size.operator()<cxa079>(H_kv) == bytes(3 * (D - D_kv) - D_kv));
    // Without residuals v alone is narrower.
    CHECK(size.operator()<hxa07a>(H) - size.operator()<hxa07a>(H_kv) == bytes(D - D_kv - D_kv));
    // Where values of a group differ, they are wide; the projected ones lie beside them.
    CHECK(size.operator()<cxa078>(H_kv) - size.operator()<cxa078>(H) == bytes(2 * D_kv));
  }
}

TEST_CASE("no switch can be turned without notice") {
  CHECK(differs<with(x070, &variant::token_shift, false)>("arwkv"));
  CHECK(differs<with(cxa073, &variant::decay, decay_offset::half)>("cxa073"));
  CHECK(differs<with(cxa079, &variant::qk_norm, false)>("cxa079"));
  CHECK(differs<with(cxa079, &variant::rope, false)>("cxa079"));
  CHECK(differs<with(cxa079, &variant::value_residual, first_mix::none)>("cxa079"));
  CHECK(differs<with(cxa078, &variant::value_residual, first_mix::none)>("cxa077"));
  CHECK(differs<with(cxa079, &variant::key_residual, false)>("cxa079"));
  CHECK(differs<with(hxa07b, &variant::added_value, false)>("hxa07b"));
  CHECK(differs<with(cxa073, &variant::scaled_removal, false)>("cxa073"));
  CHECK(differs<with(cxa079, &variant::key, key_rule::one_minus_decay_plus_eta)>("cxa079"));
  CHECK(differs<with(rad_rwkv7, &variant::key, key_rule::one_minus_omega_plus_eta)>("rad_rwkv7"));
  CHECK(differs<with(cxa073, &variant::norm, readout_norm::none)>("cxa073"));
  CHECK(differs<with(cxa079, &variant::norm, readout_norm::none)>("cxa079"));
  CHECK(differs<with(cxa079, &variant::bonus, false)>("cxa079"));
  CHECK(differs<with(cxa079, &variant::gate, gate_form::none)>("cxa079"));
  CHECK(differs<with(cxa079, &variant::gate, gate_form::one_plus_sigmoid)>("cxa079"));
}
