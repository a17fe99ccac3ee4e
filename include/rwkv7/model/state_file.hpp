// SPDX-License-Identifier: MIT
/// States of whole models in a file that says what they are and finds damage: docs/state.md describes every byte.
///
/// Not in it: the logits after the last token (leave one token out of the state and run it after loading), and the
/// parameters: whether a state belongs to a checkpoint is for the caller to know.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "rwkv7/exec/launch.hpp"
#include "rwkv7/model/file_map.hpp"
#include "rwkv7/model/model_state.hpp"
#include "rwkv7/model/state_record.hpp"
#include "rwkv7/model/whole_file.hpp"

namespace rwkv7 {

/// An open file. Move-only. Only what is asked for is read: headers at open, one slot by read.
class state_file {
 public:
  state_file() = default;

  /// Maps the file and checks its header and size; for linearised Transformers also the position of every slot, and it
  /// allocates 8 bytes for each. rwkv7::error names file and field; where exceptions are off the result is then empty.
  static state_file open(const std::filesystem::path& path) {
    state_file result;
    const auto problem = result.map(path);
    if (!problem) return result;
    report(problem);
    return {};
  }

  /// False when nothing is open.
  explicit operator bool() const noexcept { return !file_.bytes().empty(); }
  /// What each of its states is made of. Context and window are of the program that wrote it: a reader may have others.
  const state_format& format() const noexcept { return format_; }
  /// How many states it holds.
  index_t slots() const noexcept { return static_cast<index_t>(header_.slots); }
  /// How it keeps S.
  state_layout layout() const noexcept { return static_cast<state_layout>(header_.layout); }

  /// Checks and reads the state in `slot`, and returns how many tokens it has seen.
  ///
  ///   want  the format the file must have, but for context and window: state_format_of(model)
  ///   to    [want.size()]  overwritten with what model_state.hpp describes, whatever the layout in the file; values in
  ///         f64 are rounded for a float. Into rings go the newest tokens that the file has and that fit; the rest is
  ///         zeros
  ///
  /// rwkv7::error for another format, a slot that is not there, damage, or a window that sees more tokens of the state
  /// than the writer's did, with nothing written; where exceptions are off the result is then empty.
  template <compute_element T>
  std::optional<std::uint64_t> read(const state_format& want, index_t slot, const view<T, 1>& to) const {
    diagnosis problem = validate(want, slot);
    if (!problem) {
      const auto size = static_cast<index_t>(want.size());
      checker check("state_file::read");
      problem = check.require(size > 0, "state size", size, "1 or more")
                    .shape("state", to, {{"state", size}})
                    .writable("state", to)
                    .result();
    }
    if (problem) {
      report(problem);
      return {};
    }
    const std::uint64_t position = record_header(slot).position;
    if (want.transformer()) {
      for (index_t i = 0; i < to.extent(0); ++i) to(i) = T(0);
      T stored[2];
      store_position(static_cast<std::int64_t>(position), stored);
      to(0) = stored[0], to(1) = stored[1];
    }
    header_.dtype == 0 ? unpack<float>(want, slot, to) : unpack<double>(want, slot, to);
    return position;
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
    if (h.version != 1 && h.version != 2) return complain("version", h.version, "1 or 2");
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
    if (format_.transformer() != (h.version == 2))
      return complain("variant bits", h.variant_bits, "bit 16 in version 2, and there alone");
    if (h.version == 2) return map_positions();
    const std::uint64_t elements = format_.size_without_position(0, size);  // each takes more than one byte
    if (elements == 0 || elements > size / element_size())
      return complain("file size", size, "more, for one state of so many layers, C, H and N");
    record_size_ = sizeof(detail::state_record_header) + static_cast<std::size_t>(elements) * element_size();
    const std::uint64_t rest = size - sizeof header_;
    if (rest / record_size_ != h.slots || rest % record_size_ != 0)
      return complain("file size", size,
                      "64 and for each of " + std::to_string(h.slots) + " slots " + std::to_string(record_size_));
    return problem;
  }
  /// The second header, and from slot to slot where its record begins.
  diagnosis map_positions() {
    const auto bytes = file_.bytes();
    const std::uint64_t size = bytes.size();
    detail::state_file_attention attention;
    std::uint64_t at = sizeof header_ + sizeof attention, sum = 0;
    if (size < at + sizeof sum) return complain("file size", size, "at least 104");
    std::memcpy(&attention, bytes.data() + sizeof header_, sizeof attention);
    if (attention.count > (size - at - sizeof sum) / sizeof sum)
      return complain("file size", size, "more, for " + std::to_string(attention.count) + " attention layers");
    format_.H_kv = attention.H_kv, format_.context = attention.context, format_.window = attention.window;
    format_.attention_layers.resize(static_cast<std::size_t>(attention.count));
    for (auto& layer : format_.attention_layers) {
      std::memcpy(&layer, bytes.data() + at, sizeof layer);
      at += sizeof layer;
    }
    std::memcpy(&sum, bytes.data() + at, sizeof sum);
    const std::uint64_t right = crc32c(bytes.first(at));
    if (sum != right) return complain("second header checksum", sum, std::to_string(right));
    if (const auto fault = detail::attention_fault(format_))
      return complain(fault->field.c_str(), fault->got, fault->want);
    at += sizeof sum;

    constexpr std::size_t head = sizeof(detail::state_record_header);
    const auto want_more = [&](std::uint64_t slot) {
      return complain("file size", size, "more, for slot " + std::to_string(slot));
    };
    if (header_.slots > (size - at) / head) return want_more((size - at) / head);
    starts_.reserve(header_.slots + 1);
    starts_.push_back(at);
    for (std::uint64_t slot = 0; slot < header_.slots; ++slot) {
      if (size - at < head) return want_more(slot);
      const std::uint64_t position = record_header(static_cast<index_t>(slot)).position;
      if (position >= detail::position_limit)
        return complain(("slot " + std::to_string(slot) + " position").c_str(), position, "less than 2^48");
      at += head;
      const auto elements = format_.size_without_position(tokens_at(position), (size - at) / element_size());
      if (elements == 0) return want_more(slot);
      at += elements * element_size();
      starts_.push_back(at);
    }
    return at == size ? diagnosis() : complain("file size", size, std::to_string(at));
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
        {"ffn shift", {format_.ffn_shift, want.ffn_shift}},
        {"H_kv", {format_.H_kv, want.H_kv}},
        {"attention layers", {format_.attention_layers.size(), want.attention_layers.size()}}};
    for (const auto& [what, values] : fields)
      if (values.first != values.second) return complain(what, values.first, std::to_string(values.second));
    for (std::size_t i = 0; i < want.attention_layers.size(); ++i)
      if (format_.attention_layers[i] != want.attention_layers[i])
        return complain(("attention layers[" + std::to_string(i) + "]").c_str(), format_.attention_layers[i],
                        std::to_string(want.attention_layers[i]));
    if (slot < 0 || slot >= slots()) {
      problem.complain("rwkv7::state_file: %s: slot: got %lld, want 0 to %lld", name_.c_str(),
                       static_cast<long long>(slot), static_cast<long long>(slots() - 1));
      return problem;
    }
    const auto header = record_header(slot);
    const auto sum =
        detail::checksum_of(static_cast<std::uint64_t>(slot), header.position, record(slot).subspan(sizeof header));
    const std::string which = "slot " + std::to_string(slot);
    if (header.checksum != sum) return complain((which + " checksum").c_str(), header.checksum, std::to_string(sum));
    if (want.attention_layers.empty()) return problem;
    // Behind the writer's window there may be anything: of tokens taken back, or in a ring larger than the file that
    // was read into it.
    const std::uint64_t sound = std::min(header.position, format_.window);
    const std::uint64_t seen = std::min(header.position, want.window - 1);
    if (sound < seen)
      return complain((which + " tokens").c_str(), sound, std::to_string(seen) + ", which the next token sees");
    return problem;
  }

  /// How many tokens' keys and values the record of a state has that has seen so many.
  std::uint64_t tokens_at(std::uint64_t position) const noexcept { return std::min(position, format_.context); }
  /// Where the bytes of a slot begin.
  std::size_t start_of(index_t slot) const noexcept {
    const auto i = static_cast<std::size_t>(slot);
    return starts_.empty() ? sizeof header_ + i * record_size_ : static_cast<std::size_t>(starts_[i]);
  }
  /// One slot's bytes.
  std::span<const std::byte> record(index_t slot) const noexcept {
    return file_.bytes().subspan(start_of(slot), start_of(slot + 1) - start_of(slot));
  }
  detail::state_record_header record_header(index_t slot) const noexcept {
    detail::state_record_header header;
    std::memcpy(&header, file_.bytes().data() + start_of(slot), sizeof header);
    return header;
  }
  std::size_t element_size() const noexcept { return header_.dtype == 0 ? sizeof(float) : sizeof(double); }

  template <class From, class T>
  void unpack(const state_format& want, index_t slot, const view<T, 1>& to) const noexcept {
    const std::uint64_t position = record_header(slot).position;
    const std::byte* next = record(slot).data() + sizeof(detail::state_record_header);  // unaligned
    detail::in_file_order(want, layout(), position, tokens_at(position), [&](index_t i) {
      From x;
      std::memcpy(&x, next, sizeof x);
      next += sizeof x;
      if (i >= 0) to(i) = static_cast<T>(x);
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
  std::size_t record_size_ = 0;        // in version 1, where all are of one size
  std::vector<std::uint64_t> starts_;  // in version 2, of each slot and of what would come behind the last
};

namespace detail {

/// What is wrong with the positions of states, or nothing. `stored` becomes those of the records.
template <class E>
diagnosis settle_positions(const state_format& format, const view<E, 2>& states,
                           std::span<const std::uint64_t> positions, std::vector<std::uint64_t>& stored) {
  checker check("save_states");
  const index_t slots = states.extent(0);
  check.require(positions.empty() || static_cast<index_t>(positions.size()) == slots, "positions",
                static_cast<index_t>(positions.size()), "one per slot, or none");
  if (check.result()) return check.result();
  stored.assign(positions.begin(), positions.end());
  stored.resize(static_cast<std::size_t>(slots));
  for (index_t slot = 0; slot < slots && format.transformer(); ++slot) {
    const std::remove_const_t<E> beginning[] = {states(slot, 0), states(slot, 1)};
    const std::int64_t position = stored_position(beginning);
    auto& one = stored[static_cast<std::size_t>(slot)];
    check.require(position >= 0, "states: position in slot", slot,
                  "two whole numbers: is this a state of another model?");
    if (!positions.empty() && one != static_cast<std::uint64_t>(position))
      check.require(false, ("positions[" + std::to_string(slot) + "]").c_str(), static_cast<index_t>(one),
                    (std::to_string(position) + ", as the state says").c_str());
    one = static_cast<std::uint64_t>(position);
  }
  return check.result();
}

}  // namespace detail

/// Writes states, complete or not at all (model/whole_file.hpp): f32 from float, f64 from double. Of rings only the
/// tokens that they hold are written, as many as the state has seen or the context.
///
///   format     state_format_of(model)
///   states     [slots, format.size()]  one or more
///   positions  how many tokens each state has seen; none given: what states of linearised Transformers say of
///              themselves, of which nothing else may be given, and 0 for others
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
  std::vector<std::uint64_t> stored;
  checker check("save_states");
  if (const auto fault = detail::attention_fault(format))
    check.require(false, fault->field.c_str(), static_cast<index_t>(fault->got), fault->want.c_str());
  check.require(size > 0, "state size", size, "1 or more")
      .shape("states", states, {{"slots", slots}, {"state", size}})
      .require(slots > 0, "slots", slots, "1 or more");
  diagnosis problem = check.result();
  if (!problem) problem = detail::settle_positions(format, states, positions, stored);
  if (!problem) {
    whole_file file(path);
    detail::state_file_header header;
    header.version = format.transformer() ? 2 : 1;
    header.dtype = sizeof(T) == sizeof(float) ? 0 : 3;
    header.layout = static_cast<std::uint8_t>(layout);
    header.shifts = static_cast<std::uint8_t>((format.att_shift ? 1 : 0) | (format.ffn_shift ? 2 : 0));
    header.variant_bits = format.variant_bits;
    header.layers = format.layers, header.C = format.C, header.H = format.H, header.N = format.N;
    header.slots = static_cast<std::uint64_t>(slots);
    header.checksum = detail::checksum_of(header);
    const auto first = std::as_bytes(std::span(&header, 1));
    bool good = file.write(first);
    if (format.transformer()) {
      const auto& layers = format.attention_layers;
      std::vector<std::uint64_t> second{format.H_kv, format.context, format.window, layers.size()};
      second.insert(second.end(), layers.begin(), layers.end());
      second.push_back(crc32c(std::as_bytes(std::span(second)), crc32c(first)));
      good = good && file.write(std::as_bytes(std::span(second)));
    }
    std::vector<T> elements;
    for (index_t slot = 0; slot < slots && good; ++slot) {
      detail::state_record_header record;
      record.position = stored[static_cast<std::size_t>(slot)];
      elements.clear();
      detail::in_file_order(format, layout, record.position, std::min(record.position, format.context),
                            [&](index_t i) { elements.push_back(states(slot, i)); });
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
