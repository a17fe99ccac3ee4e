// SPDX-License-Identifier: MIT
/// Ends a streamed text where one of several strings begins, without ever showing a part of that string.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "rwkv7/core/check.hpp"

namespace rwkv7 {

/// Bytes go in by pieces of any length, and come out as soon as they cannot belong to a stop string any more.
///
/// The text ends with the first byte that completes a stop string. What was shown until then is the text before that
/// string; where that byte completes several, before the longest. How the text is cut into pieces changes nothing.
class stop_strings {
 public:
  /// rwkv7::error for an empty stop string, which every text contains; where exceptions are off it is left out.
  explicit stop_strings(const std::vector<std::string>& stops) {
    for (const auto& text : stops) {
      if (text.empty()) {
        diagnosis problem;
        problem.complain("rwkv7::stop_strings: stop string %lld: got no bytes, want at least 1",
                         static_cast<long long>(&text - stops.data()));
        report(problem);
        continue;
      }
      patterns_.push_back({text, std::vector<std::size_t>(text.size())});
      auto& border = patterns_.back().border;
      for (std::size_t i = 1; i < text.size(); ++i) border[i] = patterns_.back().next(border[i - 1], text[i]);
    }
  }

  /// Takes the next bytes and returns those to show, valid until the next call. Nothing once stopped.
  std::string_view push(std::string_view bytes) {
    buffer_.erase(0, shown_);
    shown_ = 0;
    if (stopped_) return {};
    std::size_t held = buffer_.size();
    for (const char byte : bytes) {
      buffer_.push_back(byte);
      held = 0;
      std::size_t completed = 0;
      for (auto& p : patterns_) {
        p.matched = p.next(p.matched, byte);
        held = std::max(held, p.matched);
        if (p.matched == p.text.size()) completed = std::max(completed, p.matched);
      }
      if (completed == 0) continue;
      stopped_ = true;
      buffer_.resize(buffer_.size() - completed);
      held = 0;
      break;
    }
    shown_ = buffer_.size() - held;
    return std::string_view(buffer_).substr(0, shown_);
  }

  /// No more bytes will come: returns those that were held back, valid until the next call.
  std::string_view finish() {
    buffer_.erase(0, shown_);
    shown_ = buffer_.size();
    stopped_ = true;
    return buffer_;
  }

  /// Whether the text has ended.
  bool stopped() const noexcept { return stopped_; }

 private:
  /// Knuth, Morris and Pratt: `matched` bytes at the end of what was seen are the beginning of `text`.
  struct pattern {
    std::string text;
    std::vector<std::size_t> border;  // of each prefix: the longest shorter prefix that also ends it
    std::size_t matched = 0;

    std::size_t next(std::size_t length, char byte) const noexcept {
      while (length > 0 && text[length] != byte) length = border[length - 1];
      return text[length] == byte ? length + 1 : 0;
    }
  };

  std::vector<pattern> patterns_;
  std::string buffer_;  // first what the last call returned, then what is held back
  std::size_t shown_ = 0;
  bool stopped_ = false;
};

}  // namespace rwkv7
