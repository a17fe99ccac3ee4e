// SPDX-License-Identifier: MIT
/// Shows streamed bytes without ever splitting a code point.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace rwkv7 {

namespace detail {
/// How long the UTF-8 code point is, 1 to 4, with which `bytes` begins or of which it is the beginning; 0 for anything
/// else. Overlong forms, surrogates and numbers above 10FFFF are something else.
inline std::size_t code_point_size(std::string_view bytes) noexcept {
  if (bytes.empty()) return 0;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // Only the first of the others can be too low or too high.
  unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (std::size_t i = 1; i < std::min(size, bytes.size()); ++i) {
    if (at(i) < low || at(i) > high) return 0;
    low = 0x80, high = 0xbf;
  }
  return size;
}
}  // namespace detail

/// Bytes go in by pieces of any length, and come out as soon as they cannot be a part of a code point that is still to
/// be completed: at most 3 bytes wait. No byte is changed or lost, those that are not UTF-8 included. After valid text,
/// cut anywhere, all that has come out is valid too. How the text is cut into pieces changes nothing.
class utf8_stream {
 public:
  /// Takes the next bytes and returns those to show, valid until the next call.
  std::string_view push(std::string_view bytes) {
    buffer_.erase(0, shown_);
    buffer_.append(bytes);
    shown_ = buffer_.size();
    for (std::size_t n = 1; n <= std::min<std::size_t>(3, buffer_.size()); ++n)
      if (detail::code_point_size(std::string_view(buffer_).substr(buffer_.size() - n)) > n)
        shown_ = buffer_.size() - n;
    return std::string_view(buffer_).substr(0, shown_);
  }

  /// No more bytes will come: returns those that were held back, valid until the next call.
  std::string_view finish() {
    buffer_.erase(0, shown_);
    shown_ = buffer_.size();
    return buffer_;
  }

 private:
  std::string buffer_;  // first what the last call returned, then what is held back
  std::size_t shown_ = 0;
};

}  // namespace rwkv7
