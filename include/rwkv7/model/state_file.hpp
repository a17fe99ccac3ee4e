// SPDX-License-Identifier: MIT
/// States of whole models in a file that says what they are and finds damage: docs/state.md describes every byte.
///
/// Not in it: the logits after the last token (leave one token out of the state and run it after loading), and the
/// parameters: whether a state belongs to a checkpoint is for the caller to know.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "rwkv7/exec/launch.hpp"
#include "rwkv7/model/crc32c.hpp"
#include "rwkv7/model/file_map.hpp"
#include "rwkv7/model/model_state.hpp"
#include "rwkv7/model/whole_file.hpp"

namespace rwkv7 {

/// What one state is made of. States of equal formats may stand for each other.
struct state_format {
  std::uint64_t layers = 0, C = 0, H = 0, N = 0;  // as in model_sizes
  bool att_shift = true, ffn_shift = true;        // which shift vectors it has
  std::uint32_t variant_bits = 0;                 // how the variant differs from x070, as docs/state.md lists it

  /// Elements of one state; 0 for none, and for more than `most`.
  constexpr std::uint64_t size(std::uint64_t most = std::uint64_t{1} << 60) const noexcept {
    const std::uint64_t shifts = (att_shift ? 1u : 0u) + (ffn_shift ? 1u : 0u);
    if (layers == 0 || C == 0 || H == 0 || N == 0) return 0;
    if (C > most / 4 || N > most / N || H > most / (N * N)) return 0;
    const std::uint64_t layer = shifts * C + H * N * N;
    return layers > most / layer ? 0 : layers * layer;
  }
};

/// The format of the states of a model of these sizes.
template <variant V>
constexpr state_format state_format_of(const model_sizes& s) noexcept {
  std::uint32_t bits = 0, bit = 1;
  for (const bool differs :
       {!V.token_shift, V.decay != decay_offset::half, V.value_residual == first_mix::none,
        V.norm != readout_norm::group_norm, !V.bonus, V.gate == gate_form::none,
        V.value_residual == first_mix::after_repeat, V.norm == readout_norm::scale,
        V.gate == gate_form::one_plus_sigmoid, V.key_residual, V.added_value, V.qk_norm, V.rope, !V.scaled_removal,
        V.key == key_rule::one_minus_omega_plus_eta, V.key == key_rule::one_minus_decay_plus_eta}) {
    if (differs) bits |= bit;
    bit *= 2;
  }
  const auto count = [](index_t n) { return static_cast<std::uint64_t>(n); };
  return {.layers = count(s.layers),
          .C = count(s.C),
          .H = count(s.H),
          .N = count(s.N),
          .att_shift = V.token_shift,
          .variant_bits = bits};
}
template <variant V, class T>
class language_model;
/// The same of a model.
template <variant V, class T>
constexpr state_format state_format_of(const language_model<V, T>& model) noexcept {
  return state_format_of<V>(model.sizes());
}

/// How a file keeps S. In memory it is always [value, key].
enum class state_layout : std::uint8_t { value_key, key_value };

namespace detail {

struct state_file_header {
  char magic[6] = {'R', 'W', 'K', '7', 'S', 'T'};
  std::uint16_t version = 1;
  std::uint8_t dtype = 0;  // 0 f32, 3 f64
  std::uint8_t layout = 0;
  std::uint8_t shifts = 0;  // 1 att, 2 ffn
  std::uint8_t zero = 0;
  std::uint32_t variant_bits = 0;
  std::uint64_t layers = 0, C = 0, H = 0, N = 0, slots = 0;
  std::uint64_t checksum = 0;  // of the bytes before it
};
struct state_record_header {
  std::uint64_t position = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(state_file_header) == 64 && sizeof(state_record_header) == 16);

inline std::uint64_t checksum_of(const state_file_header& header) noexcept {
  return crc32c(std::as_bytes(std::span(&header, 1)).first(offsetof(state_file_header, checksum)));
}
/// Of a record: its place, its position and its elements.
inline std::uint64_t checksum_of(std::uint64_t slot, std::uint64_t position,
                                 std::span<const std::byte> elements) noexcept {
  const std::uint64_t before[] = {slot, position};
  return crc32c(elements, crc32c(std::as_bytes(std::span(before))));
}

/// f(i) for every element i of a state in memory, in the order of the file.
template <class F>
void in_file_order(const state_format& format, state_layout layout, F f) {
  const auto C = static_cast<index_t>(format.C), H = static_cast<index_t>(format.H), N = static_cast<index_t>(format.N);
  const index_t shifts = ((format.att_shift ? 1 : 0) + (format.ffn_shift ? 1 : 0)) * C;
  const bool turned = layout == state_layout::key_value;
  index_t at = 0;
  for (std::uint64_t layer = 0; layer < format.layers; ++layer) {
    for (const index_t end = at + shifts; at < end; ++at) f(at);
    for (index_t h = 0; h < H; ++h, at += N * N)
      for (index_t i = 0; i < N; ++i)
        for (index_t j = 0; j < N; ++j) f(turned ? at + j * N + i : at + i * N + j);
  }
}

}  // namespace detail

/// An open file. Move-only. Only what is asked for is read: the header at open, one slot by read.
class state_file {
 public:
  state_file() = default;

  /// Maps the file and checks its header and size. rwkv7::error names file and field; where exceptions are off the
  /// result is then empty.
  static state_file open(const std::filesystem::path& path) {
    state_file result;
    const auto problem = result.map(path);
    if (!problem) return result;
    report(problem);
    return {};
  }

  /// False when nothing is open.
  explicit operator bool() const noexcept { return !file_.bytes().empty(); }
  /// What each of its states is made of.
  const state_format& format() const noexcept { return format_; }
  /// How many states it holds.
  index_t slots() const noexcept { return static_cast<index_t>(header_.slots); }
  /// How it keeps S.
  state_layout layout() const noexcept { return static_cast<state_layout>(header_.layout); }

  /// Checks and reads the state in `slot`, and returns how many tokens it has seen.
  ///
  ///   want  the format the file must have: state_format_of(model)
  ///   to    [want.size()]  overwritten with what model_state.hpp describes, whatever the layout in the file; values in
  ///         f64 are rounded for a float
  ///
  /// rwkv7::error for another format, a slot that is not there, or damage, with nothing written; where exceptions are
  /// off the result is then empty.
  template <compute_element T>
  std::optional<std::uint64_t> read(const state_format& want, index_t slot, const view<T, 1>& to) const {
    diagnosis problem = validate(want, slot);
    if (!problem) {
      checker check("state_file::read");
      problem = check.shape("state", to, {{"state", static_cast<index_t>(want.size())}}).writable("state", to).result();
    }
    if (problem) {
      report(problem);
      return {};
    }
    const auto elements = record(slot).subspan(sizeof(detail::state_record_header));
    header_.dtype == 0 ? unpack<float>(elements, to) : unpack<double>(elements, to);
    return record_header(slot).position;
  }

 private:
  diagnosis map(const std::filesystem::path& path) {
    diagnosis problem;
    name_ = detail::shown(path);
    file_ = file_map::open(path, problem);
    if (problem) return problem;
    const auto bytes = file_.bytes();
    const std::uint64_t size = bytes.size();
    const detail::state_file_header right;
    if (size < sizeof header_) return complain("file size", size, "at least 64");
    std::memcpy(&header_, bytes.data(), sizeof header_);
    const auto& h = header_;
    if (std::memcmp(h.magic, right.magic, sizeof h.magic) != 0) {
      problem.complain("rwkv7::state_file: %s: is not a state file: it does not begin with RWK7ST", name_.c_str());
      return problem;
    }
    if (h.version != right.version) return complain("version", h.version, "1");
    if (h.checksum != detail::checksum_of(h))
      return complain("header checksum", h.checksum, std::to_string(detail::checksum_of(h)));
    if (h.dtype != 0 && h.dtype != 3) return complain("dtype", h.dtype, "0 (f32) or 3 (f64)");
    if (h.layout > 1) return complain("layout", h.layout, "0 (value, key) or 1 (key, value)");
    if (h.shifts > 3) return complain("shift vectors", h.shifts, "0 to 3");
    if (h.zero != 0) return complain("byte 11", h.zero, "0");
    const std::pair<const char*, std::uint64_t> counts[] = {
        {"layers", h.layers}, {"C", h.C}, {"H", h.H}, {"N", h.N}, {"slots", h.slots}};
    for (const auto& [what, n] : counts)
      if (n == 0) return complain(what, n, "1 or more");

    format_ = {.layers = h.layers,
               .C = h.C,
               .H = h.H,
               .N = h.N,
               .att_shift = (h.shifts & 1) != 0,
               .ffn_shift = (h.shifts & 2) != 0,
               .variant_bits = h.variant_bits};
    const std::uint64_t elements = format_.size(size);  // each takes more than one byte
    if (elements == 0 || elements > size / element_size())
      return complain("file size", size, "more, for one state of so many layers, C, H and N");
    record_size_ = sizeof(detail::state_record_header) + static_cast<std::size_t>(elements) * element_size();
    const std::uint64_t rest = size - sizeof header_;
    if (rest / record_size_ != h.slots || rest % record_size_ != 0)
      return complain("file size", size,
                      "64 and for each of " + std::to_string(h.slots) + " slots " + std::to_string(record_size_));
    return problem;
  }

  diagnosis validate(const state_format& want, index_t slot) const {
    diagnosis problem;
    if (!*this) {
      problem.complain("rwkv7::state_file: no file is open");
      return problem;
    }
    const std::pair<const char*, std::pair<std::uint64_t, std::uint64_t>> fields[] = {
        {"layers", {format_.layers, want.layers}},
        {"C", {format_.C, want.C}},
        {"H", {format_.H, want.H}},
        {"N", {format_.N, want.N}},
        {"variant bits", {format_.variant_bits, want.variant_bits}},
        {"att shift", {format_.att_shift, want.att_shift}},
        {"ffn shift", {format_.ffn_shift, want.ffn_shift}}};
    for (const auto& [what, values] : fields)
      if (values.first != values.second) return complain(what, values.first, std::to_string(values.second));
    if (slot < 0 || slot >= slots()) {
      problem.complain("rwkv7::state_file: %s: slot: got %lld, want 0 to %lld", name_.c_str(),
                       static_cast<long long>(slot), static_cast<long long>(slots() - 1));
      return problem;
    }
    const auto header = record_header(slot);
    const auto sum = detail::checksum_of(static_cast<std::uint64_t>(slot), header.position,
                                         record(slot).subspan(sizeof(detail::state_record_header)));
    if (header.checksum != sum)
      return complain(("slot " + std::to_string(slot) + " checksum").c_str(), header.checksum, std::to_string(sum));
    return problem;
  }

  /// One slot's bytes.
  std::span<const std::byte> record(index_t slot) const noexcept {
    return file_.bytes().subspan(sizeof header_ + static_cast<std::size_t>(slot) * record_size_, record_size_);
  }
  detail::state_record_header record_header(index_t slot) const noexcept {
    detail::state_record_header header;
    std::memcpy(&header, record(slot).data(), sizeof header);
    return header;
  }
  std::size_t element_size() const noexcept { return header_.dtype == 0 ? sizeof(float) : sizeof(double); }

  template <class From, class T>
  void unpack(std::span<const std::byte> elements, const view<T, 1>& to) const noexcept {
    const std::byte* next = elements.data();  // unaligned
    detail::in_file_order(format_, layout(), [&](index_t i) {
      From x;
      std::memcpy(&x, next, sizeof x);
      next += sizeof x;
      to(i) = static_cast<T>(x);
    });
  }

  diagnosis complain(const char* what, std::uint64_t got, const std::string& want) const {
    diagnosis problem;
    problem.complain("rwkv7::state_file: %s: %s: got %llu, want %s", name_.c_str(), what,
                     static_cast<unsigned long long>(got), want.c_str());
    return problem;
  }

  std::string name_;
  file_map file_;
  detail::state_file_header header_;
  state_format format_;
  std::size_t record_size_ = 0;
};

/// Writes states, complete or not at all (model/whole_file.hpp): f32 from float, f64 from double.
///
///   format     state_format_of(model)
///   states     [slots, format.size()]  one or more
///   positions  how many tokens each state has seen; none given: 0
///   layout     [key, value] for programs that read S so
///
/// rwkv7::error when the arguments do not fit or the file cannot be written; where exceptions are off the result is
/// then false. Allocates the memory of one state.
template <class E>
bool save_states(const std::filesystem::path& path, const state_format& format, const view<E, 2>& states,
                 std::span<const std::uint64_t> positions = {}, state_layout layout = state_layout::value_key) {
  using T = std::remove_const_t<E>;
  static_assert(compute_element<T>, "rwkv7: states are float or double");
  const auto size = static_cast<index_t>(format.size());
  const index_t slots = states.extent(0);
  checker check("save_states");
  check.require(size > 0, "state size", size, "1 or more")
      .shape("states", states, {{"slots", slots}, {"state", size}})
      .require(slots > 0, "slots", slots, "1 or more")
      .require(positions.empty() || static_cast<index_t>(positions.size()) == slots, "positions",
               static_cast<index_t>(positions.size()), "one per slot, or none");
  diagnosis problem = check.result();
  if (!problem) {
    whole_file file(path);
    detail::state_file_header header;
    header.dtype = sizeof(T) == sizeof(float) ? 0 : 3;
    header.layout = static_cast<std::uint8_t>(layout);
    header.shifts = static_cast<std::uint8_t>((format.att_shift ? 1 : 0) | (format.ffn_shift ? 2 : 0));
    header.variant_bits = format.variant_bits;
    header.layers = format.layers, header.C = format.C, header.H = format.H, header.N = format.N;
    header.slots = static_cast<std::uint64_t>(slots);
    header.checksum = detail::checksum_of(header);
    bool good = file.write(std::as_bytes(std::span(&header, 1)));
    std::vector<T> elements(static_cast<std::size_t>(size));
    for (index_t slot = 0; slot < slots && good; ++slot) {
      auto next = elements.begin();
      detail::in_file_order(format, layout, [&](index_t i) { *next++ = states(slot, i); });
      detail::state_record_header record;
      if (!positions.empty()) record.position = positions[static_cast<std::size_t>(slot)];
      const auto bytes = std::as_bytes(std::span<const T>(elements));
      record.checksum = detail::checksum_of(static_cast<std::uint64_t>(slot), record.position, bytes);
      good = file.write(std::as_bytes(std::span(&record, 1))) && file.write(bytes);
    }
    problem = file.commit();
  }
  if (problem) report(problem);
  return !problem;
}

}  // namespace rwkv7
