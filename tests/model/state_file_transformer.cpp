// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// State files of linearised Transformers: positions, rings whose tokens move to rings of other sizes, damage.
#include <doctest/doctest.h>

#include <cstdio>

#include "support/pattern.hpp"
#include "support/safetensors_writer.hpp"
#include "support/state_path.hpp"

using namespace rwkv7_test;
using rwkv7::save_states;
using rwkv7::state_file;
using rwkv7::state_format;
using rwkv7::state_layout;
using rwkv7::view;

namespace {

using index_t = rwkv7::index_t;

constexpr auto V = [] {
  auto v = rwkv7::x070;
  v.layers = rwkv7::layer_form::transformer;
  return v;
}();
/// Layers 1 and 2 of four are attention.
constexpr rwkv7::model_sizes sizes{
    .V = 5, .C = 3, .layers = 4, .H = 2, .N = 2, .H_kv = 1, .F = 7, .attention = 2, .context = 4, .window = 4};
constexpr index_t attention[] = {1, 2};
constexpr index_t mixed = 2 * (3 + 2 * 2 * 2), token = 2 * 2 * 2;  // elements of time-mix, and of one token's k and v

state_format format_of(index_t context, index_t window) {
  auto s = sizes;
  s.context = context, s.window = window;
  return rwkv7::state_format_of<V>(s, attention);
}
const state_format format = format_of(4, 0);
index_t size_of(const state_format& f) { return static_cast<index_t>(f.size()); }

/// What token p left in a ring, or an element of time-mix.
float value(const char* what, std::uint64_t p, index_t i) {
  return pattern_stream(what)(static_cast<std::int64_t>(p % 1000) * 100 + i, 0, 3);
}

/// A state as model_state.hpp describes it, the last `tokens` of its tokens in the rings and zeros elsewhere.
template <class T>
std::vector<T> state_at(std::uint64_t position, std::uint64_t context, std::uint64_t tokens) {
  std::vector<T> state{static_cast<T>(position % (1 << 24)), static_cast<T>(position >> 24)};
  for (index_t i = 0; i < mixed; ++i) state.push_back(static_cast<T>(value("mixed", position, i)));
  const std::uint64_t first = position - std::min(position, std::min(tokens, context));
  for (index_t ring = 0; ring < 4; ++ring)
    for (std::uint64_t place = 0; place < context; ++place)
      for (index_t i = 0; i < 2; ++i) {
        T element = 0;
        for (std::uint64_t p = first; p < position; ++p)
          if (p % context == place) element = static_cast<T>(value("token", p, 2 * ring + i));
        state.push_back(element);
      }
  return state;
}
template <class T>
std::vector<T> states_at(const std::vector<std::uint64_t>& positions, std::uint64_t context = 4) {
  std::vector<T> all;
  for (const auto position : positions) {
    const auto one = state_at<T>(position, context, context);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

template <class T>
std::string saved(const state_path& file, const std::vector<std::uint64_t>& positions,
                  state_layout layout = state_layout::value_key, const state_format& as = format) {
  const auto values = states_at<T>(positions, as.context);
  const auto slots = static_cast<index_t>(positions.size());
  CHECK(save_states(file.path(), as, view<const T, 2>(values.data(), {slots, size_of(as)}), {}, layout));
  return content_of(file.path());
}

std::string u64s(const std::vector<std::uint64_t>& numbers) { return bytes_of(numbers); }

}  // namespace

TEST_CASE("what is saved is read again to the last bit, whether rings have turned over or not") {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    const state_path path;
    const std::vector<std::uint64_t> positions{0, 3, 4, 11, (std::uint64_t{1} << 40) + 6, (std::uint64_t{1} << 48) - 1};
    for (const auto layout : {state_layout::value_key, state_layout::key_value}) {
      saved<T>(path, positions, layout);
      const auto file = state_file::open(path.path());
      CHECK(file.slots() == 6);
      CHECK(file.layout() == layout);
      CHECK(file.format().context == 4);
      CHECK(file.format().attention_layers == std::vector<std::uint64_t>{1, 2});
      for (const index_t slot : {5, 2, 0, 1, 4, 3}) {
        std::vector<T> to(format.size(), T(12345));
        const auto position = positions[static_cast<std::size_t>(slot)];
        CHECK(file.read(format, slot, view<T, 1>(to.data(), {size_of(format)})) == position);
        CHECK(same_bits(to, state_at<T>(position, 4, 4)));
      }
    }
    CHECK(path.complaint(format) == "");
  };
  check(0.0f);
  check(0.0);
}

TEST_CASE("tokens find their places in rings of another size, the newest where not all fit") {
  const state_path path;
  for (const std::uint64_t position : {0u, 1u, 4u, 7u, 9u, 12u, 23u}) {
    saved<double>(path, {position, 5}, state_layout::value_key, format_of(9, 2));
    for (const index_t context : {2, 3, 4, 8, 9, 10, 13, 40}) {
      CAPTURE(position);
      CAPTURE(context);
      const auto want = format_of(context, 2);
      std::vector<double> to(want.size(), 12345);
      CHECK(state_file::open(path.path()).read(want, 0, view<double, 1>(to.data(), {size_of(want)})) == position);
      CHECK(same_bits(to, state_at<double>(position, static_cast<std::uint64_t>(context), 9)));
    }
  }
  // Strided, and rounded.
  const auto want = format_of(3, 2);
  std::vector<float> to(2 * want.size(), 12345.0f);
  CHECK(state_file::open(path.path()).read(want, 1, view<float, 1>(to.data(), {size_of(want)}, {2})));
  const auto right = state_at<float>(5, 3, 9);
  for (std::size_t i = 0; i < to.size(); ++i) CHECK(to[i] == (i % 2 == 0 ? right[i / 2] : 12345.0f));
}

TEST_CASE("a window that sees more of a state than the writer's did is refused") {
  const state_path path;
  const auto complaint = [&](index_t context, index_t window) { return path.complaint(format_of(context, window)); };
  saved<float>(path, {5, 20}, state_layout::value_key, format_of(8, 0));
  CHECK(complaint(8, 0) == "");
  CHECK(complaint(5, 0) == "");
  CHECK(complaint(30, 9) == "");  // the next token sees itself and 8 others
  CHECK(complaint(30, 10) == "slot 1 tokens: got 8, want 9, which the next token sees");
  CHECK(complaint(30, 0) == "slot 1 tokens: got 8, want 20, which the next token sees");
  saved<float>(path, {5}, state_layout::value_key, format_of(8, 3));
  CHECK(complaint(8, 4) == "");
  CHECK(complaint(8, 5) == "slot 0 tokens: got 3, want 4, which the next token sees");
  CHECK(complaint(8, 0) == "slot 0 tokens: got 3, want 5, which the next token sees");
}

TEST_CASE("every byte is where the document says") {
  const state_path path;
  const auto bytes = saved<float>(path, {1, 6});
  const std::size_t first = 120, second = first + 16 + (mixed + token) * 4;
  CHECK(bytes.size() == second + 16 + (mixed + 4 * token) * 4);
  CHECK(bytes.substr(0, 6) == "RWK7ST");
  CHECK(bytes.substr(6, 10) == std::string("\2\0\0\0\1\0\0\0\1\0", 10));
  CHECK(bytes.substr(16, 40) == u64s({4, 3, 2, 2, 2}));
  CHECK(bytes.substr(64, 48) == u64s({1, 4, 4, 2, 1, 2}));
  CHECK(bytes.substr(first, 8) == u64s({1}));
  CHECK(bytes.substr(second, 8) == u64s({6}));
  const auto crc = [](const std::string& of) { return u64s({rwkv7::crc32c(std::as_bytes(std::span(of)))}); };
  CHECK(bytes.substr(56, 8) == crc(bytes.substr(0, 56)));
  CHECK(bytes.substr(112, 8) == crc(bytes.substr(0, 112)));
  CHECK(bytes.substr(first + 8, 8) == crc(u64s({0, 1}) + bytes.substr(first + 16, second - first - 16)));
  CHECK(bytes.substr(second + 8, 8) == crc(u64s({1, 6}) + bytes.substr(second + 16)));
  const auto record = [](std::uint64_t position, std::uint64_t from) {
    std::vector<float> elements;
    for (index_t i = 0; i < mixed; ++i) elements.push_back(value("mixed", position, i));
    for (index_t ring = 0; ring < 4; ++ring)
      for (std::uint64_t p = from; p < position; ++p)
        for (index_t i = 0; i < 2; ++i) elements.push_back(value("token", p, 2 * ring + i));
    return bytes_of(elements);
  };
  CHECK(bytes.substr(first + 16, second - first - 16) == record(1, 0));
  CHECK(bytes.substr(second + 16) == record(6, 2));
  // Layout 1: each head's S turned round, the rest the same.
  auto turned = saved<float>(path, {1, 6}, state_layout::key_value);
  for (const std::size_t head : {3u, 7u, 14u, 18u})
    for (std::size_t i = 0; i < 4; ++i)
      std::swap(turned[second + 16 + 4 * (head + 1) + i], turned[second + 16 + 4 * (head + 2) + i]);
  CHECK(turned.substr(second + 16) == record(6, 2));
}

TEST_CASE("without attention there is a position, and nothing behind time-mix") {
  auto only = sizes;
  only.attention = 0;
  const auto plain = rwkv7::state_format_of<V>(only);
  CHECK(plain.size() == 2 + 4 * 11);
  CHECK(plain.context == 0);
  std::vector<float> values(92, 7.0f);
  rwkv7::store_position(123456789012, values.data());
  rwkv7::store_position(5, values.data() + 46);
  const state_path path;
  CHECK(save_states(path.path(), plain, view<float, 2>(values.data(), {2, 46})));
  CHECK(content_of(path.path()).size() == 104 + 2 * (16 + 44 * 4));
  std::vector<float> to(46);
  const auto file = state_file::open(path.path());
  CHECK(file.read(plain, 0, view<float, 1>(to.data(), {46})) == std::uint64_t{123456789012});
  CHECK(same_bits(to, {values.begin(), values.begin() + 46}));
  CHECK(file.read(plain, 1, view<float, 1>(to.data(), {46})) == std::uint64_t{5});
  CHECK(path.complaint(format) == "attention layers: got 0, want 2");
}

TEST_CASE("a file cut anywhere, or with a byte too many, is refused") {
  const state_path path;
  const auto whole = saved<float>(path, {2, 5});
  for (std::size_t length = whole.size(); length-- > 0;) {
    std::filesystem::resize_file(path.path(), length);
    CHECK(path.complaint(format).starts_with("file size: got " + std::to_string(length) + ", want "));
  }
  path.write(whole + '\0');
  CHECK(path.complaint(format) ==
        "file size: got " + std::to_string(whole.size() + 1) + ", want " + std::to_string(whole.size()));
  std::printf("state files of Transformers: %d cut ones refused\n", static_cast<int>(whole.size()));
}

TEST_CASE("every flipped bit is found, wherever it is") {
  const state_path path;
  const auto whole = saved<float>(path, {2, 9});
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
  std::printf("state files of Transformers: %d with a flipped bit refused\n", flips);
}

TEST_CASE("damage in the elements of one slot does not keep the others from being read") {
  const state_path path;
  auto bytes = saved<float>(path, {2, 5, 1});
  bytes[120 + 16 + 4 * (mixed + 2 * token) + 16 + 40] ^= 1;
  path.write(bytes);
  const auto file = state_file::open(path.path());
  std::vector<float> to(format.size());
  const view<float, 1> state(to.data(), {size_of(format)});
  CHECK(file.read(format, 0, state));
  CHECK(file.read(format, 2, state));
  CHECK(same_bits(to, state_at<float>(1, 4, 4)));
  CHECK(reported([&] { file.read(format, 1, state); }).find("slot 1 checksum: got ") != std::string::npos);
}

TEST_CASE("headers whose checksums are right are not believed either") {
  const state_path path;
  const auto whole = saved<float>(path, {2, 5});
  const auto refused = [&](std::size_t at, std::uint64_t value, const std::string& text) {
    path.write(sealed(with(whole, at, value)));
    CHECK(path.complaint(format) == text);
  };
  path.write(sealed(with(whole, 6, std::uint16_t{1})));
  CHECK(path.complaint(format) == "variant bits: got 65536, want bit 16 in version 2, and there alone");
  path.write(sealed(with(whole, 12, std::uint32_t{1})));
  CHECK(path.complaint(format) == "variant bits: got 1, want bit 16 in version 2, and there alone");
  refused(64, 0, "H_kv: got 0, want a divisor of H, which is 2");
  refused(64, 3, "H_kv: got 3, want a divisor of H, which is 2");
  refused(72, 0, "context: got 0, want 1 or more");
  refused(80, 0, "window: got 0, want 1 to context, which is 4");
  refused(80, 5, "window: got 5, want 1 to context, which is 4");
  refused(16, 2, "attention layers: got 2, want fewer than the 2 layers");
  refused(96, 2, "attention layers[1]: got 2, want rising numbers below the 4 layers");
  refused(104, 4, "attention layers[1]: got 4, want rising numbers below the 4 layers");
  refused(120, std::uint64_t{1} << 48, "slot 0 position: got 281474976710656, want less than 2^48");

  int absurd = 0;
  for (const std::size_t at : {16u, 24u, 32u, 40u, 48u, 64u, 72u, 80u, 88u, 96u, 104u, 120u})
    for (int bit = 0; bit < 64; ++bit)
      for (const std::uint64_t off : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
        const std::uint64_t n = (std::uint64_t{1} << bit) + off;
        const auto bytes = sealed(with(whole, at, n));
        if (bytes == whole || (at == 80 && n == 3)) continue;  // a window of 3 is as good for these states
        path.write(bytes);
        CAPTURE(at);
        CAPTURE(bit);
        CHECK(path.complaint(format) != "");
        ++absurd;
      }
  // All of them together, so that products meet every power of two.
  for (int a = 0; a < 64; a += 5)
    for (int b = 0; b < 64; b += 5)
      for (int c = 0; c < 64; c += 9) {
        auto bytes = whole;
        for (const auto& [at, shift] : {std::pair{16, a}, std::pair{24, b}, std::pair{32, c}, std::pair{40, b},
                                        std::pair{48, a}, std::pair{64, c}, std::pair{72, a}, std::pair{120, b}})
          bytes = with(bytes, static_cast<std::size_t>(at), std::uint64_t{1} << shift);
        path.write(sealed(bytes));
        CHECK(path.complaint(format) != "");
        ++absurd;
      }
  std::printf("state files of Transformers: %d of absurd sizes refused\n", absurd);
}

TEST_CASE("a large context costs nothing where few tokens are held") {
  auto wide = format_of(8, 4);
  const state_path path;
  auto bytes = saved<float>(path, {3}, state_layout::value_key, wide);
  for (const std::uint64_t context : {std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    path.write(sealed(with(bytes, 72, context)));
    const auto file = state_file::open(path.path());
    CHECK(file.format().context == context);
    CHECK((file.format().size() == 0) == (context > std::uint64_t{1} << 60));
    std::vector<float> to(wide.size());
    CHECK(file.read(wide, 0, view<float, 1>(to.data(), {size_of(wide)})) == std::uint64_t{3});
    CHECK(same_bits(to, state_at<float>(3, 8, 8)));
  }
}

TEST_CASE("a model of other sizes, layers or another variant is refused by name") {
  const state_path path;
  saved<float>(path, {2});
  const auto complaint = [&](const auto& change) {
    auto want = format;
    change(want);
    return path.complaint(want);
  };
  CHECK(complaint([](auto& f) { f.layers = 5; }) == "layers: got 4, want 5");
  CHECK(complaint([](auto& f) { f.H_kv = 2; }) == "H_kv: got 1, want 2");
  CHECK(complaint([](auto& f) { f.attention_layers = {1}; }) == "attention layers: got 2, want 1");
  CHECK(complaint([](auto& f) { f.attention_layers = {1, 3}; }) == "attention layers[1]: got 2, want 3");
  CHECK(complaint([](auto& f) { f.context = 0; }) == "rwkv7::state_file::read: state size: got 0, want 1 or more");
  CHECK(path.complaint(rwkv7::state_format_of<rwkv7::x070>({.C = 3, .layers = 4, .H = 2, .N = 2})) ==
        "variant bits: got 65536, want 0");
  constexpr auto gated = [] {
    auto v = V;
    v.gate = rwkv7::gate_form::none;
    return v;
  }();
  CHECK(path.complaint(rwkv7::state_format_of<gated>(sizes, attention)) == "variant bits: got 65536, want 65568");
  state_format none;
  CHECK(reported([&] { none = rwkv7::state_format_of<V>(sizes); }) ==
        "rwkv7::state_format_of: attention layers: got 0, want 2");
  CHECK(none.size() == 0);
}

TEST_CASE("what cannot be saved is said, and an earlier file stays") {
  const state_path path;
  const auto before = saved<float>(path, {1});
  auto values = states_at<float>({3, 6});
  const view<float, 2> two(values.data(), {2, size_of(format)});
  const auto refused = [&](const std::string& text, const state_format& as,
                           const std::vector<std::uint64_t>& positions = {}) {
    bool done = false;
    CHECK(reported([&] { done = save_states(path.path(), as, two, positions); }) == "rwkv7::save_states: " + text);
    CHECK(!done);
    CHECK(content_of(path.path()) == before);
  };
  refused("positions: got 1, want one per slot, or none", format, {3});
  refused("positions[1]: got 7, want 6, as the state says", format, {3, 7});
  refused("positions[0]: got 0, want 3, as the state says", format, {0, 6});
  const auto faulty = [&](const std::string& text, const auto& change) {
    auto as = format;
    change(as);
    refused(text, as);
  };
  faulty("H_kv: got 0, want a divisor of H, which is 2", [](auto& f) { f.H_kv = 0; });
  faulty("attention layers[1]: got 1, want rising numbers below the 4 layers", [](auto& f) {
    f.attention_layers = {2, 1};
  });
  faulty("attention layers: got 4, want fewer than the 4 layers", [](auto& f) { f.attention_layers = {0, 1, 2, 3}; });
  faulty("context: got 4, want 0 without attention layers", [](auto& f) { f.attention_layers = {}; });
  faulty("context: got 0, want 1 or more", [](auto& f) { f.context = f.window = 0; });
  faulty("window: got 5, want 1 to context, which is 4", [](auto& f) { f.window = 5; });
  faulty("variant bits: got 0, want bit 16, for states with attention layers, H_kv, context or window",
         [](auto& f) { f.variant_bits = 0; });
  for (const float wrong : {0.5f, -1.0f, 16777216.0f, std::numeric_limits<float>::quiet_NaN()}) {
    values[format.size()] = wrong;
    refused("states: position in slot: got 1, want two whole numbers: is this a state of another model?", format);
  }
  values[format.size()] = 6;
  CHECK(save_states(path.path(), format, two, std::vector<std::uint64_t>{3, 6}));
  CHECK(path.complaint(format) == "");
}
