// SPDX-License-Identifier: MIT
/// How headers and records of a state file are laid out: docs/state.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rwkv7/model/crc32c.hpp"
#include "rwkv7/model/state_format.hpp"

namespace rwkv7 {

/// How a file keeps S. In memory it is always [value, key].
enum class state_layout : std::uint8_t { value_key, key_value };

namespace detail {

struct state_file_header {
  char magic[6] = {'R', 'W', 'K', '7', 'S', 'T'};
  std::uint16_t version = 1;  // 2 with a second header behind this one
  std::uint8_t dtype = 0;     // 0 f32, 3 f64
  std::uint8_t layout = 0;
  std::uint8_t shifts = 0;  // 1 att, 2 ffn
  std::uint8_t zero = 0;
  std::uint32_t variant_bits = 0;
  std::uint64_t layers = 0, C = 0, H = 0, N = 0, slots = 0;
  std::uint64_t checksum = 0;  // of the bytes before it
};
/// The beginning of the second header, of states of linearised Transformers. The numbers of the attention layers
/// follow, and a checksum of all bytes before it.
struct state_file_attention {
  std::uint64_t H_kv = 0, context = 0, window = 0, count = 0;
};
struct state_record_header {
  std::uint64_t position = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(state_file_header) == 64 && sizeof(state_file_attention) == 32 &&
              sizeof(state_record_header) == 16);

inline std::uint64_t checksum_of(const state_file_header& header) noexcept {
  return crc32c(std::as_bytes(std::span(&header, 1)).first(offsetof(state_file_header, checksum)));
}
/// Of a record: its place, its position and its elements.
inline std::uint64_t checksum_of(std::uint64_t slot, std::uint64_t position,
                                 std::span<const std::byte> elements) noexcept {
  const std::uint64_t before[] = {slot, position};
  return crc32c(elements, crc32c(std::as_bytes(std::span(before))));
}

/// Positions that a state can hold are less.
inline constexpr std::uint64_t position_limit = std::uint64_t{1} << 48;

/// f(i) for every element of a record, in the order of the file. i is its place in a state in memory, or -1 for a token
/// that the rings there have no room for. Of keys and values the record has the last `tokens` of `position`.
template <class F>
void in_file_order(const state_format& format, state_layout layout, std::uint64_t position, std::uint64_t tokens, F f) {
  const auto C = static_cast<index_t>(format.C), H = static_cast<index_t>(format.H), N = static_cast<index_t>(format.N);
  const index_t shifts = ((format.att_shift ? 1 : 0) + (format.ffn_shift ? 1 : 0)) * C;
  const bool turned = layout == state_layout::key_value;
  index_t at = format.transformer() ? 2 : 0;
  for (std::uint64_t layer = format.attention_layers.size(); layer < format.layers; ++layer) {
    for (const index_t end = at + shifts; at < end; ++at) f(at);
    for (index_t h = 0; h < H; ++h, at += N * N)
      for (index_t i = 0; i < N; ++i)
        for (index_t j = 0; j < N; ++j) f(turned ? at + j * N + i : at + i * N + j);
  }
  const std::uint64_t heads = 2 * format.attention_layers.size() * format.H_kv;  // k and v of each layer
  for (std::uint64_t head = 0; head < heads; ++head, at += static_cast<index_t>(format.context) * N)
    for (std::uint64_t age = tokens; age > 0; --age) {
      const auto place = static_cast<index_t>((position - age) % format.context);
      for (index_t i = 0; i < N; ++i) f(age > format.context ? -1 : at + place * N + i);
    }
}

}  // namespace detail

}  // namespace rwkv7
