// SPDX-License-Identifier: MIT
/// Every operation once, for tests about all of them: what they allocate, where they read and write, who runs them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "rwkv7/timemix.hpp"
#include "support/op_sizes.hpp"
#include "support/pattern.hpp"
#include "support/strided.hpp"

namespace rwkv7_test {

/// Dense tensors in memory from `allocate(bytes, role)`; also what is written starts from known values.
template <class Allocate>
class operand_source {
 public:
  explicit operand_source(Allocate allocate) : allocate_(std::move(allocate)) {}

  template <class T = float, std::size_t Rank>
  view<const T, static_cast<int>(Rank)> in(const index_t (&extents)[Rank], float scale = 0.5f) {
    return make<T>(extents, role::read, scale);
  }
  /// A parameter of this type.
  template <std::size_t Rank>
  rwkv7::weights<static_cast<int>(Rank)> parameter(rwkv7::dtype type, const index_t (&extents)[Rank],
                                                   float scale = 0.5f) {
    switch (type) {
      case rwkv7::dtype::f16:
        return in<rwkv7::f16>(extents, scale);
      case rwkv7::dtype::bf16:
        return in<rwkv7::bf16>(extents, scale);
      default:
        break;
    }
    return in<float>(extents, scale);
  }
  template <std::size_t Rank>
  view<float, static_cast<int>(Rank)> out(const index_t (&extents)[Rank]) {
    return make<float>(extents, role::write, 0.5f);
  }

  /// Of slots that had some tokens before, not all as many.
  view<const std::int64_t, 1> positions(index_t slots) {
    const auto at = make<std::int64_t>({slots}, role::read, 0);
    for (index_t i = 0; i < slots; ++i) at(i) = 1000 + 7 * i;
    return at;
  }

  std::span<std::byte> scratch(std::size_t bytes) {
    return {static_cast<std::byte*>(allocate_(bytes, role::scratch)), bytes};
  }

 private:
  template <class T, std::size_t Rank>
  view<T, static_cast<int>(Rank)> make(const index_t (&extents)[Rank], role what_for, float scale) {
    std::array<index_t, Rank> shape{};
    for (std::size_t a = 0; a < Rank; ++a) shape[a] = extents[a];
    const auto size = view<T, static_cast<int>(Rank)>(nullptr, shape).size();
    const auto data = static_cast<T*>(allocate_(static_cast<std::size_t>(size) * sizeof(T), what_for));
    const pattern_stream values(std::to_string(count_++));
    for (index_t i = 0; i < size; ++i) data[i] = element<T>(values(i, 0.0f, scale));
    return {data, shape};
  }

  Allocate allocate_;
  int count_ = 0;
};

// Lengths 0, 1 and 2 and both forms of the recurrence; slots in another order than sequences.
inline constexpr std::int32_t packed_offsets[] = {0, 0, 17, 18, 20, 37};
inline constexpr std::int64_t packed_slots[] = {3, 0, 5, 1, 4};
inline constexpr index_t packed_tokens = 37, pool_slots = 6;

/// visit(name, call) for wkv7; call(exec) runs it.
template <class Allocate, class Visit>
void for_each_wkv7(const op_sizes& s, Allocate allocate, Visit visit) {
  using rwkv7::decay;
  operand_source<Allocate> o(std::move(allocate));
  const auto [B, T, H, H_kv, N, C, rank] = s;
  {
    const rwkv7::wkv7_inputs<float> in{.r = o.in({B, T, H, N}),
                                       .w = decay<float>::logit(o.in({B, T, H, N}, 3.0f)),
                                       .k = o.in({B, T, H_kv, N}),
                                       .v = o.in({B, T, H_kv, N}),
                                       .a = o.in({B, T, H, N}, 0.2f),
                                       .b = o.in({B, T, H, N}, 0.2f)};
    const auto y = o.out({B, T, H, N}), S = o.out({B, H, N, N});
    visit("wkv7", [=, tokens = T, batch = B](auto& exec) {
      rwkv7::wkv7(exec, rwkv7::dense{batch, tokens}, in, y, rwkv7::state<float>::in_place(S));
    });
  }
  {
    const rwkv7::wkv7_inputs<float> in{.r = o.in({1, packed_tokens, H, N}),
                                       .w = decay<float>::loglog(o.in({1, packed_tokens, H, N}, 2.0f)),
                                       .k = o.in({1, packed_tokens, H, N}),
                                       .v = o.in({1, packed_tokens, H_kv, N}),
                                       .a = o.in({1, packed_tokens, H, N}, 0.2f),
                                       .b = o.in({1, packed_tokens, H, N}, 0.2f)};
    const auto initial = o.in({pool_slots, H, N, N});
    const auto y = o.out({1, packed_tokens, H, N}), final = o.out({pool_slots, H, N, N});
    visit("wkv7, packed", [=](auto& exec) {
      rwkv7::wkv7(exec, rwkv7::packed{packed_offsets, packed_slots}, in, y, {initial, from_key_value(final)});
    });
  }
}

/// visit(name, call) for the operations on a resident state, each of which needs those before it.
template <class Allocate, class Visit>
void for_each_resident_state(const op_sizes& s, Allocate allocate, Visit visit) {
  using rwkv7::decay;
  const auto [B, T, H, H_kv, N, C, rank] = s;
  // As much as any executor here wants; each has the end of it.
  struct some_threads {
    index_t threads;
    index_t concurrency() const { return threads; }
  };
  const rwkv7::state_extents extents{pool_slots, H, N};
  std::size_t lines = 0;
  for (index_t threads = 1; threads <= 8; ++threads) {
    const some_threads some{threads};
    lines = std::max(lines, resident_plan_of<float>(rwkv7::inline_executor::backend_tag{}, some, extents).lines);
  }
  const std::size_t bytes = lines * sizeof(rwkv7::cache_line);
  void* memory = allocate(bytes, role::scratch);
  std::size_t space = bytes + sizeof(rwkv7::cache_line);
  if (reinterpret_cast<std::uintptr_t>(memory) % sizeof(rwkv7::cache_line) != 0)
    memory = allocate(space, role::scratch), memory = std::align(sizeof(rwkv7::cache_line), bytes, memory, space);
  auto* const end = static_cast<rwkv7::cache_line*>(memory) + lines;
  const auto on = [=](auto& exec) {
    const auto plan = rwkv7::detail::resident_plan_on<float>(exec, extents);
    return rwkv7::resident_state<float>(end - plan.lines, extents, plan);
  };

  operand_source<Allocate> o(std::move(allocate));
  const rwkv7::wkv7_inputs<float> in{.r = o.in({1, packed_tokens, H, N}),
                                     .w = decay<float>::loglog(o.in({1, packed_tokens, H, N}, 2.0f)),
                                     .k = o.in({1, packed_tokens, H_kv, N}),
                                     .v = o.in({1, packed_tokens, H, N}),
                                     .a = o.in({1, packed_tokens, H, N}, 0.2f),
                                     .b = o.in({1, packed_tokens, H, N}, 0.2f)};
  const auto initial = o.in({pool_slots, H, N, N});
  const auto y = o.out({1, packed_tokens, H, N}), final = o.out({5, H, N, N});
  visit("import_state", [=](auto& exec) { rwkv7::import_state(exec, from_key_value(initial), on(exec)); });
  visit("wkv7, resident", [=](auto& exec) {
    rwkv7::wkv7(exec, rwkv7::packed{packed_offsets, packed_slots}, in, y, on(exec));
  });
  visit("flush_state", [=](auto& exec) { rwkv7::flush_state(exec, on(exec)); });
  visit("export_state", [=](auto& exec) { rwkv7::export_state(exec, on(exec), final, packed_slots); });
}

/// visit(name, call) for wkv with each of its policies.
template <class Allocate, class Visit>
void for_each_wkv(const op_sizes& s, Allocate allocate, Visit visit) {
  using rwkv7::decay, rwkv7::read_policy;
  operand_source<Allocate> o(std::move(allocate));
  const auto [B, T, H, H_kv, N, C, rank] = s;
  const auto r = o.in({B, T, H, N}), w = o.in({B, T, H, N}), k = o.in({B, T, H_kv, N}), v = o.in({B, T, H, N});
  const auto u = o.in({H, N});
  const auto y = o.out({B, T, H, N}), S = o.out({B, H, N, N});
  const rwkv7::wkv_inputs<float, read_policy::after> after{.r = r, .w = decay<float>::log(w), .k = k, .v = v};
  const rwkv7::wkv_inputs<float, read_policy::before> before{.r = r, .w = decay<float>::factor(w), .k = k, .v = v};
  const rwkv7::wkv_inputs<float, read_policy::before_bonus> bonus{
      .r = r, .w = decay<float>::log(w), .k = k, .v = v, .u = u};
  const rwkv7::sequences seq = rwkv7::dense{B, T};
  visit("wkv, after", [=](auto& exec) { rwkv7::wkv(exec, seq, after, y, {.final = S}); });
  visit("wkv, before", [=](auto& exec) { rwkv7::wkv(exec, seq, before, y, {}); });
  visit("wkv, before_bonus", [=](auto& exec) { rwkv7::wkv(exec, seq, bonus, y, {.initial = S}); });
}

/// visit(name, call) for all other operations, with parameters of this type.
template <class Allocate, class Visit>
void for_each_other_op(const op_sizes& s, rwkv7::dtype type, Allocate allocate, Visit visit) {
  operand_source<Allocate> o(std::move(allocate));
  const auto [B, T, H, H_kv, N, C, rank] = s;
  const index_t D = H * N;
  const auto x = o.in({B, T, C}), x2 = o.in({B, T, C});
  const auto heads = o.in({B, T, H, N}), heads2 = o.in({B, T, H, N}), group = o.in({B, T, H_kv, N}),
             group2 = o.in({B, T, H_kv, N});
  const auto y = o.out({B, T, C}), y2 = o.out({B, T, C}), hidden = o.out({B, T, rank});
  const auto z = o.out({B, T, H, N}), z2 = o.out({B, T, H, N}), z3 = o.out({B, T, H, N});
  const auto shift = o.out({B, C});
  const auto wide = o.out({B, T, D});
  const auto c1 = o.parameter(type, {C}), c2 = o.parameter(type, {C});
  const auto d1 = o.parameter(type, {D}), d2 = o.parameter(type, {D}), d_kv = o.parameter(type, {H_kv * N});
  const auto r_k = o.parameter(type, {H, N}), matrix = o.parameter(type, {D, C});
  const rwkv7::low_rank_weights low{o.parameter(type, {C, rank}), o.parameter(type, {rank, D}), d1};
  const auto n1 = o.parameter(type, {N});
  const index_t half = (N + 1) / 2;  // of a head that rope can turn
  const auto positions = o.positions(B);
  const auto frequency = o.template in<double>({half});
  const auto even = o.in({B, T, H, 2 * half});
  const auto turned = o.out({B, T, H, 2 * half});
  const auto cosine = o.out({B, T, half}), sine = o.out({B, T, half});
  const auto keys = o.in({B, T + 9, H_kv, N}), values = o.in({B, T + 9, H_kv, N});
  // Rings that are shorter than most calls.
  const rwkv7::kv_cache<float> cache{o.out({B, H_kv, 11, N}), o.out({B, H_kv, 11, N}), positions};
  const rwkv7::sequences seq = rwkv7::dense{B, T}, key_seq = rwkv7::dense{B, T + 9};

  const rwkv7::readout_inputs<float> readout{
      .x = heads, .weight = d1, .bias = d2, .r = heads2, .k = group, .v = group, .r_k = r_k, .g = heads2};
  visit("readout", [=](auto& exec) { rwkv7::readout(exec, readout, z); });
  visit("bonus", [=](auto& exec) {
    rwkv7::bonus(exec, rwkv7::bonus_inputs<float>{.r = heads, .k = group, .v = heads2, .r_k = r_k}, z);
  });
  visit("decay_factor", [=](auto& exec) {
    rwkv7::decay_factor(exec, rwkv7::decay_factor_inputs<float>{.w = rwkv7::decay<float>::logit(heads)}, z);
  });
  visit("first_residual", [=](auto& exec) {
    rwkv7::first_residual(exec, rwkv7::first_residual_inputs<float>{.x = group, .first = group2, .mix = heads}, z);
  });
  visit("gate", [=](auto& exec) { rwkv7::gate(exec, rwkv7::gate_inputs<float>{.x = x, .g = x2}, y); });
  visit("gqa_attention", [=](auto& exec) {
    rwkv7::gqa_attention(exec, seq, key_seq,
                         rwkv7::gqa_attention_inputs<float>{.q = heads, .k = keys, .v = values, .scale = 0.5}, z);
  });
  visit("gqa_attention, cached", [=](auto& exec) {
    rwkv7::gqa_attention(
        exec, seq, rwkv7::gqa_attention_inputs<float>{.q = heads, .k = group, .v = group2, .scale = 0.5}, z2, cache);
  });
  visit("group_norm", [=](auto& exec) {
    rwkv7::group_norm(exec, rwkv7::group_norm_inputs<float>{.x = heads, .weight = d1, .bias = d2}, z);
  });
  visit("key_update", [=](auto& exec) {
    rwkv7::key_update(exec, rwkv7::key_update_inputs<float>{.k = group, .eta = heads, .k_k = d_kv, .k_a = d1},
                      {.k = z, .a = z2, .b = z3});
  });
  visit("layer_norm", [=](auto& exec) {
    rwkv7::layer_norm(exec, rwkv7::layer_norm_inputs<float>{.x = x, .weight = c1, .bias = c2}, y);
  });
  visit("linear",
        [=](auto& exec) { rwkv7::linear(exec, rwkv7::linear_inputs<float>{.x = x, .weight = matrix}, wide); });
  visit("low_rank", [=](auto& exec) {
    rwkv7::low_rank(exec,
                    rwkv7::low_rank_inputs<float>{
                        .x = x, .weight = low, .inner = rwkv7::activation::tanh, .outer = rwkv7::activation::sigmoid},
                    {.hidden = hidden, .y = wide});
  });
  visit("repeat_kv", [=](auto& exec) { rwkv7::repeat_kv(exec, rwkv7::repeat_kv_inputs<float>{.x = group}, z); });
  visit("residual_add", [=](auto& exec) { rwkv7::residual_add(exec, rwkv7::residual_add_inputs<float>{.x = x}, y); });
  visit("rms_norm", [=](auto& exec) {
    rwkv7::rms_norm(exec, rwkv7::rms_norm_inputs<float>{.x = heads, .weight = n1, .eps = 1e-6}, z);
  });
  visit("rope_table", [=](auto& exec) {
    rwkv7::rope_table(exec, seq, rwkv7::rope_table_inputs<float>{.position = positions, .frequency = frequency},
                      {.cos = cosine, .sin = sine});
  });
  visit("rope", [=](auto& exec) {
    rwkv7::rope(exec, rwkv7::rope_inputs<float>{.x = even, .cos = cosine, .sin = sine}, turned);
  });
  visit("squared_relu", [=](auto& exec) { rwkv7::squared_relu(exec, rwkv7::squared_relu_inputs<float>{.x = x}, y); });
  visit("swiglu", [=](auto& exec) { rwkv7::swiglu(exec, rwkv7::swiglu_inputs<float>{.gate = x, .up = x2}, y); });
  visit("token_shift", [=](auto& exec) {
    rwkv7::token_shift(exec, seq, rwkv7::token_shift_inputs<float, 2>{.x = x, .mix = {c1, c2}}, {.y = {y, y2}},
                       rwkv7::shift_state<float>::in_place(shift));
  });
}

}  // namespace rwkv7_test
