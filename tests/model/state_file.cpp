// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// State files: what is written is read, byte for byte as docs/state.md says, and nothing damaged is.
#include "rwkv7/model/state_file.hpp"

#include <doctest/doctest.h>

#include <cstdio>

#include "support/compare.hpp"
#include "support/pattern.hpp"
#include "support/safetensors_writer.hpp"
#include "support/state_path.hpp"

using namespace rwkv7_test;
using rwkv7::save_states;
using rwkv7::state_file;
using rwkv7::state_format;
using rwkv7::state_format_of;
using rwkv7::state_layout;
using rwkv7::view;
using rwkv7::x070;

namespace {

using index_t = rwkv7::index_t;

constexpr rwkv7::model_sizes sizes{.V = 5, .C = 3, .layers = 2, .H = 2, .N = 2, .H_kv = 1, .F = 7};
const state_format format = state_format_of<x070>(sizes);
constexpr index_t size = 2 * (3 + 3 + 2 * 2 * 2);

template <class T>
std::vector<T> some_states(index_t slots) {
  std::vector<T> values;
  const pattern_stream stream("states");
  for (index_t i = 0; i < slots * size; ++i) values.push_back(static_cast<T>(stream(i, 0, 3)));
  return values;
}

template <class T>
std::string saved(const state_path& file, index_t slots, state_layout layout = state_layout::value_key,
                  const std::vector<std::uint64_t>& positions = {}) {
  const auto values = some_states<T>(slots);
  CHECK(save_states(file.path(), format, view<const T, 2>(values.data(), {slots, size}), positions, layout));
  return content_of(file.path());
}

}  // namespace

TEST_CASE("what is saved is read again to the last bit, slot by slot, in float and in double") {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    const state_path path;
    for (const auto layout : {state_layout::value_key, state_layout::key_value}) {
      const auto values = some_states<T>(3);
      saved<T>(path, 3, layout, {7, std::uint64_t{1} << 40, ~std::uint64_t{0}});
      const auto file = state_file::open(path.path());
      CHECK(file);
      CHECK(file.slots() == 3);
      CHECK(file.layout() == layout);
      CHECK(file.format().C == 3);
      for (const index_t slot : {2, 0, 1}) {
        std::vector<T> to(static_cast<std::size_t>(size));
        const auto position = file.read(format, slot, view<T, 1>(to.data(), {size}));
        CHECK(position == (slot == 0 ? 7 : slot == 1 ? std::uint64_t{1} << 40 : ~std::uint64_t{0}));
        CHECK(same_bits(to, {values.begin() + slot * size, values.begin() + (slot + 1) * size}));
      }
    }
    CHECK(path.complaint(format) == "");
  };
  check(0.0f);
  check(0.0);
}

TEST_CASE("a double program reads what a float program saved exactly, and the other way round rounded once") {
  const state_path path;
  const auto floats = some_states<float>(1);
  saved<float>(path, 1);
  std::vector<double> doubles(static_cast<std::size_t>(size));
  CHECK(state_file::open(path.path()).read(format, 0, view<double, 1>(doubles.data(), {size})) == std::uint64_t{0});
  CHECK(doubles == std::vector<double>(floats.begin(), floats.end()));

  for (auto& x : doubles) x += 1e-9;
  CHECK(save_states(path.path(), format, view<double, 2>(doubles.data(), {1, size})));
  std::vector<float> rounded(static_cast<std::size_t>(size));
  CHECK(state_file::open(path.path()).read(format, 0, view<float, 1>(rounded.data(), {size})));
  for (std::size_t i = 0; i < rounded.size(); ++i) CHECK(rounded[i] == static_cast<float>(doubles[i]));
}

TEST_CASE("every byte is where the document says") {
  const state_path path;
  const auto bytes = saved<float>(path, 2, state_layout::value_key, {5, 0x0102030405060708});
  CHECK(format.size() == 28);
  CHECK(bytes.size() == 64 + 2 * (16 + 28 * 4));
  CHECK(bytes.substr(0, 6) == "RWK7ST");
  CHECK(bytes.substr(6, 10) == std::string("\1\0\0\0\3\0\0\0\0\0", 10));
  CHECK(bytes.substr(16, 8) == std::string("\2\0\0\0\0\0\0\0", 8));
  CHECK(bytes.substr(24, 8) == std::string("\3\0\0\0\0\0\0\0", 8));
  CHECK(bytes.substr(32, 8) == std::string("\2\0\0\0\0\0\0\0", 8));
  CHECK(bytes.substr(40, 8) == std::string("\2\0\0\0\0\0\0\0", 8));
  CHECK(bytes.substr(48, 8) == std::string("\2\0\0\0\0\0\0\0", 8));
  CHECK(bytes.substr(64, 8) == std::string("\5\0\0\0\0\0\0\0", 8));
  CHECK(bytes.substr(64 + 128, 8) == "\x08\x07\x06\x05\x04\x03\x02\x01");
  const auto values = some_states<float>(2);
  CHECK(bytes.substr(64 + 16, 112) == bytes_of(values).substr(0, 112));
  CHECK(bytes.substr(64 + 128 + 16) == bytes_of(values).substr(112));

  const auto checksum = [&](std::size_t at) {
    std::uint64_t sum = 0;
    std::memcpy(&sum, bytes.data() + at, 8);
    return sum;
  };
  const auto crc = [](const std::string& of) { return std::uint64_t{rwkv7::crc32c(std::as_bytes(std::span(of)))}; };
  CHECK(checksum(56) == crc(bytes.substr(0, 56)));
  CHECK(checksum(72) == crc(std::string(8, '\0') + bytes.substr(64, 8) + bytes.substr(80, 112)));
  CHECK(checksum(200) == crc(std::string("\1\0\0\0\0\0\0\0", 8) + bytes.substr(192, 8) + bytes.substr(208)));

  // Layout 1: each head's S turned round, the rest the same; f64: the same elements in twice the space.
  const auto turned = saved<float>(path, 2, state_layout::key_value, {5, 0x0102030405060708});
  std::vector<float> elements(28);
  std::memcpy(elements.data(), turned.data() + 80, 112);
  for (const std::size_t head : {6u, 10u, 20u, 24u}) std::swap(elements[head + 1], elements[head + 2]);
  CHECK(same_bits(elements, {values.begin(), values.begin() + 28}));
  CHECK(turned[9] == 1);
  const auto wide = saved<double>(path, 1);
  CHECK(wide.size() == 64 + 16 + 28 * 8);
  CHECK(wide[8] == 3);
  CHECK(wide.substr(80) == bytes_of(some_states<double>(1)));
}

TEST_CASE("a file cut anywhere, or with a byte too many, is refused") {
  const state_path path;
  const auto whole = saved<float>(path, 2);
  for (std::size_t length = whole.size(); length-- > 0;) {
    std::filesystem::resize_file(path.path(), length);
    CHECK(path.complaint(format).starts_with("file size: got " + std::to_string(length) + ", want "));
  }
  path.write(whole + '\0');
  CHECK(path.complaint(format) ==
        "file size: got " + std::to_string(whole.size() + 1) + ", want 64 and for each of 2 slots 128");
  std::printf("state files: %d cut ones refused\n", static_cast<int>(whole.size()));
}

TEST_CASE("every flipped bit is found, wherever it is") {
  const state_path path;
  const auto whole = saved<float>(path, 2, state_layout::value_key, {3, 4});
  int flips = 0;
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit, ++flips) {
      auto bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      path.write(bytes);
      CAPTURE(at);
      CAPTURE(bit);
      CHECK(path.complaint(format) != "");
    }
  std::printf("state files: %d with a flipped bit refused\n", flips);
}

TEST_CASE("damage in one slot does not keep the others from being read") {
  const state_path path;
  auto bytes = saved<float>(path, 3);
  bytes[64 + 128 + 40] ^= 1;
  path.write(bytes);
  const auto file = state_file::open(path.path());
  std::vector<float> to(static_cast<std::size_t>(size));
  const view<float, 1> state(to.data(), {size});
  CHECK(file.read(format, 0, state));
  CHECK(file.read(format, 2, state));
  const auto values = some_states<float>(3);
  CHECK(same_bits(to, {values.begin() + 2 * size, values.end()}));
  CHECK(reported([&] { file.read(format, 1, state); }).find("slot 1 checksum: got ") != std::string::npos);
  // Two slots exchanged are two damaged slots.
  const auto whole = saved<float>(path, 2);
  path.write(whole.substr(0, 64) + whole.substr(192) + whole.substr(64, 128));
  CHECK(path.complaint(format).starts_with("slot 0 checksum: got "));
}

TEST_CASE("a header whose checksum is right is not believed either") {
  const state_path path;
  const auto whole = saved<float>(path, 2);
  const auto refused = [&](const std::string& bytes, const std::string& text) {
    path.write(bytes);
    CHECK(path.complaint(format) == text);
  };
  const auto field = [&](std::size_t at, auto value) { return sealed(with(whole, at, value)); };
  refused("RWKV7ST" + whole.substr(7), "is not a state file: it does not begin with RWK7ST");
  refused(field(6, std::uint16_t{0}), "version: got 0, want 1 or 2");
  refused(field(6, std::uint16_t{3}), "version: got 3, want 1 or 2");
  refused(field(6, std::uint16_t{2}), "variant bits: got 0, want bit 16 in version 2, and there alone");
  refused(field(12, std::uint32_t{1} << 16), "variant bits: got 65536, want bit 16 in version 2, and there alone");
  for (const int dtype : {1, 2, 4, 255})
    refused(field(8, static_cast<std::uint8_t>(dtype)),
            "dtype: got " + std::to_string(dtype) + ", want 0 (f32) or 3 (f64)");
  refused(field(9, std::uint8_t{2}), "layout: got 2, want 0 (value, key) or 1 (key, value)");
  refused(field(10, std::uint8_t{4}), "shift vectors: got 4, want 0 to 3");
  refused(field(11, std::uint8_t{1}), "byte 11: got 1, want 0");
  int absurd = 0;
  const std::pair<std::size_t, const char*> counts[] = {{16, "layers"}, {24, "C"}, {32, "H"}, {40, "N"}, {48, "slots"}};
  for (const auto& [at, name] : counts) {
    refused(field(at, std::uint64_t{0}), std::string(name) + ": got 0, want 1 or more");
    for (int bit = 2; bit < 64; ++bit)
      for (const std::uint64_t off : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
        const std::uint64_t n = (std::uint64_t{1} << bit) + off;
        if (at == 24 && n == 3) continue;
        path.write(field(at, n));
        CHECK(path.complaint(format).starts_with("file size: got 320, want "));
        ++absurd;
      }
  }
  // All of them together, so that products meet every power of two.
  for (int a = 0; a < 64; a += 3)
    for (int b = 0; b < 64; b += 3)
      for (int c = 0; c < 64; c += 7) {
        auto bytes = whole;
        for (const auto& [at, shift] :
             {std::pair{16, a}, std::pair{24, b}, std::pair{32, c}, std::pair{40, b}, std::pair{48, a}})
          bytes = with(bytes, static_cast<std::size_t>(at), std::uint64_t{1} << shift);
        path.write(sealed(bytes));
        CHECK(path.complaint(format) != "");
        ++absurd;
      }
  std::printf("state files: %d of absurd sizes refused\n", absurd);
}

TEST_CASE("a model of other sizes or another variant, and a slot that is not there, are refused by name") {
  const state_path path;
  saved<float>(path, 2);
  const auto file = state_file::open(path.path());
  const auto refused = [&](const state_format& want, index_t slot, index_t length, const std::string& text) {
    std::vector<float> to(static_cast<std::size_t>(length), 12345.0f);
    const auto untouched = to;
    CHECK(reported([&] { file.read(want, slot, view<float, 1>(to.data(), {length})); }) == text);
    CHECK(same_bits(to, untouched));
  };
  const auto in_file = "rwkv7::state_file: " + path.path() + ": ";
  auto other = sizes;
  other.layers = 3;
  refused(state_format_of<x070>(other), 0, size, in_file + "layers: got 2, want 3");
  other = sizes;
  other.C = 4;
  refused(state_format_of<x070>(other), 0, size, in_file + "C: got 3, want 4");
  other = sizes;
  other.H = 8, other.N = 1;
  refused(state_format_of<x070>(other), 0, size, in_file + "H: got 2, want 8");
  other = sizes;
  other.N = 64;
  refused(state_format_of<x070>(other), 0, size, in_file + "N: got 2, want 64");
  constexpr auto no_shift = [] {
    auto v = x070;
    v.token_shift = false;
    return v;
  }();
  constexpr auto no_gate = [] {
    auto v = x070;
    v.gate = rwkv7::gate_form::none;
    return v;
  }();
  refused(state_format_of<no_shift>(sizes), 0, size, in_file + "variant bits: got 0, want 1");
  refused(state_format_of<no_gate>(sizes), 0, size, in_file + "variant bits: got 0, want 32");
  refused(format, 2, size, in_file + "slot: got 2, want 0 to 1");
  refused(format, -1, size, in_file + "slot: got -1, want 0 to 1");
  refused(format, 0, size - 1, "rwkv7::state_file::read: state axis state: got 27, want 28");
  CHECK(reported([&] { file.read(format, 0, view<float, 1>()); }) == "rwkv7::state_file::read: state: not given");
  CHECK(reported([&] { state_file().read(format, 0, view<float, 1>()); }) == "rwkv7::state_file: no file is open");
}

TEST_CASE("each switch of a variant has a bit of its own") {
  constexpr auto but = [](auto change) {
    auto v = x070;
    change(v);
    return v;
  };
  const auto bits = []<rwkv7::variant V>() { return state_format_of<V>(sizes).variant_bits; };
  CHECK(bits.operator()<x070>() == 0);
  CHECK(bits.operator()<but([](auto& v) { v.token_shift = false; })>() == 1);
  CHECK(bits.operator()<but([](auto& v) { v.decay = rwkv7::decay_offset::six_tenths; })>() == 2);
  CHECK(bits.operator()<but([](auto& v) { v.value_residual = rwkv7::first_mix::none; })>() == 4);
  CHECK(bits.operator()<but([](auto& v) { v.norm = rwkv7::readout_norm::none; })>() == 8);
  CHECK(bits.operator()<but([](auto& v) { v.bonus = false; })>() == 16);
  CHECK(bits.operator()<but([](auto& v) { v.gate = rwkv7::gate_form::none; })>() == 32);
  CHECK(bits.operator()<but([](auto& v) { v.value_residual = rwkv7::first_mix::after_repeat; })>() == 64);
  CHECK(bits.operator()<but([](auto& v) { v.norm = rwkv7::readout_norm::scale; })>() == 128 + 8);
  CHECK(bits.operator()<but([](auto& v) { v.gate = rwkv7::gate_form::one_plus_sigmoid; })>() == 256);
  CHECK(bits.operator()<but([](auto& v) { v.key_residual = true; })>() == 512);
  CHECK(bits.operator()<but([](auto& v) { v.added_value = true; })>() == 1024);
  CHECK(bits.operator()<but([](auto& v) { v.qk_norm = true; })>() == 2048);
  CHECK(bits.operator()<but([](auto& v) { v.rope = true; })>() == 4096);
  CHECK(bits.operator()<but([](auto& v) { v.scaled_removal = false; })>() == 8192);
  CHECK(bits.operator()<but([](auto& v) { v.key = rwkv7::key_rule::one_minus_omega_plus_eta; })>() == 16384);
  CHECK(bits.operator()<but([](auto& v) { v.key = rwkv7::key_rule::one_minus_decay_plus_eta; })>() == 32768);
  CHECK(bits.operator()<but([](auto& v) { v.layers = rwkv7::layer_form::transformer; })>() == 65536);
}

TEST_CASE("states without att shift, and strided ones") {
  constexpr auto no_shift = [] {
    auto v = x070;
    v.token_shift = false;
    return v;
  }();
  const auto narrow = state_format_of<no_shift>(sizes);
  CHECK(narrow.size() == 22);
  const state_path path;
  auto values = some_states<float>(3);
  CHECK(save_states(path.path(), narrow, view<float, 2>(values.data(), {2, 22}, {size, 1})));
  const auto file = state_file::open(path.path());
  CHECK(!file.format().att_shift);
  std::vector<float> to(50, 12345.0f);
  CHECK(file.read(narrow, 1, view<float, 1>(to.data(), {22}, {2})));
  for (std::size_t i = 0; i < 44; ++i)
    CHECK(to[i] == (i % 2 == 0 ? values[static_cast<std::size_t>(size) + i / 2] : 12345.0f));
}

TEST_CASE("what cannot be saved is said, and an earlier file stays") {
  const state_path path;
  const auto before = saved<float>(path, 1);
  std::vector<float> values(100);
  const auto refused = [&](const std::string& text, const view<float, 2>& states,
                           const std::vector<std::uint64_t>& positions = {}) {
    bool done = false;
    CHECK(reported([&] { done = save_states(path.path(), format, states, positions); }) == text);
    CHECK(!done);
    CHECK(content_of(path.path()) == before);
  };
  refused("rwkv7::save_states: states axis state: got 27, want 28", {values.data(), {2, 27}});
  refused("rwkv7::save_states: states: not given", {});
  refused("rwkv7::save_states: slots: got 0, want 1 or more", {values.data(), {0, size}});
  refused("rwkv7::save_states: positions: got 1, want one per slot, or none", {values.data(), {2, size}}, {1});
  const view<float, 2> right(values.data(), {2, size});
  CHECK(reported([&] { save_states(path.path(), state_format{}, right); }) ==
        "rwkv7::save_states: state size: got 0, want 1 or more");
  CHECK(reported([&] { save_states(path.path() + "/none/x", format, right); }) ==
        "rwkv7::file: " + path.path() + "/none/x: cannot be written");
  CHECK(reported([&] { state_file::open(path.path() + ".not"); }) ==
        "rwkv7::file: " + path.path() + ".not: does not exist");
}
