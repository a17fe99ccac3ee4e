// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
#include "rwkv7/model/stop_strings.hpp"

#include <doctest/doctest.h>

#include "support/pattern.hpp"
#include "support/reported.hpp"

using rwkv7::stop_strings;
using rwkv7_test::reported;

namespace {

using texts = std::vector<std::string>;

/// What is shown of `pieces`, with a | after every piece.
std::string shown(const texts& stops, const texts& pieces) {
  stop_strings matcher(stops);
  std::string all;
  for (const auto& piece : pieces) all += std::string(matcher.push(piece)) + "|";
  return all + std::string(matcher.finish());
}

bool ends_with_prefix(const std::string& text, const std::string& stop, std::size_t length) {
  return length <= text.size() && length <= stop.size() && text.ends_with(stop.substr(0, length));
}

/// The definition, without any of the matcher's ideas.
struct definition {
  const texts& stops;
  std::string seen{};     // up to the byte that completes a stop string
  std::size_t shown = 0;  // how much of it
  bool stopped = false;

  void push(const std::string& bytes) {
    for (const char byte : bytes) {
      if (stopped) return;
      seen += byte;
      std::size_t longest = 0, held = 0;
      for (const auto& stop : stops) {
        if (ends_with_prefix(seen, stop, stop.size())) longest = std::max(longest, stop.size());
        for (std::size_t n = 1; n < stop.size(); ++n)
          if (ends_with_prefix(seen, stop, n)) held = std::max(held, n);
      }
      stopped = longest > 0;
      shown = seen.size() - (stopped ? longest : held);
    }
  }
};

/// Whole numbers below a bound, one after the other.
class numbers {
 public:
  explicit numbers(const std::string& name) : stream_(name) {}
  std::size_t below(std::size_t bound) { return stream_.u24(at_++) % bound; }
  std::string text(std::size_t length, std::size_t letters) {
    std::string s;
    while (s.size() < length) s += static_cast<char>('a' + below(letters));
    return s;
  }

 private:
  rwkv7_test::pattern_stream stream_;
  std::int64_t at_ = 0;
};

}  // namespace

TEST_CASE("without stop strings everything is shown at once") { CHECK(shown({}, {"ab", "", "c"}) == "ab||c|"); }

TEST_CASE("the text ends before the stop string, wherever it is cut") {
  CHECK(shown({"User:"}, {"Hello.\nUser: and more", "never"}) == "Hello.\n||");
  CHECK(shown({"User:"}, {"Hello.\nUs", "er", ":", "never"}) == "Hello.\n||||");
}

TEST_CASE("the beginning of a stop string is held back until it turns out to be none") {
  CHECK(shown({"\n\n"}, {"a\n", "b\n", "\nc"}) == "a|\nb||");
  CHECK(shown({"abac"}, {"ab", "ab", "ad"}) == "|ab|abad|");
}

TEST_CASE("what is held back at the end is shown by finish") {
  CHECK(shown({"stop"}, {"please sto"}) == "please |sto");
  stop_strings matcher({"stop"});
  CHECK(matcher.push("sto").empty());
  CHECK(!matcher.stopped());
  CHECK(matcher.finish() == "sto");
  CHECK(matcher.stopped());
  CHECK(matcher.push("more").empty());
  CHECK(matcher.finish().empty());
}

TEST_CASE("of overlapping stop strings the first to be complete ends the text, and the longest of those") {
  CHECK(shown({"abcd", "bc"}, {"xabcd"}) == "xa|");
  CHECK(shown({"bc", "abc"}, {"xabcd"}) == "x|");
  CHECK(shown({"aa", "aab"}, {"xaab"}) == "x|");
}

TEST_CASE("stop strings and text are bytes") {
  CHECK(shown({"é"}, {"caf\xc3", "\xa9!"}) == "caf||");
  CHECK(shown({"é"}, {"caf\xc3", "\xa8!"}) == "caf|\xc3\xa8!|");
  CHECK(shown({std::string("\0x", 2)}, {std::string("a\0", 2), "x"}) == "a||");
}

TEST_CASE("a copy continues as the original would") {
  stop_strings one({"stop"});
  CHECK(one.push("ast") == "a");
  stop_strings other = one;
  CHECK(one.push("op").empty());
  CHECK(one.stopped());
  CHECK(other.push("air") == "stair");
}

TEST_CASE("an empty stop string is refused") {
  CHECK(reported([] {
          stop_strings({"a", ""});
        }) == "rwkv7::stop_strings: stop string 1: got no bytes, want at least 1");
}

TEST_CASE("any strings in any text, cut anywhere, as the definition says") {
  numbers random("stop_strings");
  int stopped = 0, went_on = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    const std::size_t letters = 1 + random.below(3);
    texts stops(random.below(4));
    for (auto& stop : stops) stop = random.text(1 + random.below(6), letters);
    const std::string text = random.text(random.below(24), letters);
    stop_strings matcher(stops);
    definition want{stops};
    std::string got;
    for (std::size_t at = 0; at < text.size();) {
      const std::string piece = text.substr(at, random.below(5));
      at += piece.size();
      got += matcher.push(piece);
      want.push(piece);
      if (got != want.seen.substr(0, want.shown) || matcher.stopped() != want.stopped) {
        FAIL_CHECK("text ", text, " up to ", at, " with ", stops.size(), " stop strings");
        return;
      }
    }
    ++(want.stopped ? stopped : went_on);
    if (!want.stopped) CHECK(got + std::string(matcher.finish()) == text);
  }
  CHECK(stopped > 3000);
  CHECK(went_on > 3000);
}
