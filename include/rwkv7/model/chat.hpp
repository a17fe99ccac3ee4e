// SPDX-License-Identifier: MIT
/// A conversation as the text that the World and G1 models were trained to continue.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rwkv7 {

/// Who speaks.
enum class chat_role : std::uint8_t { system, user, assistant };

/// One turn.
struct chat_message {
  chat_role role;         // who says it
  std::string_view text;  // what
};

/// Where the model's answer ends, for stop_strings: what would begin the next turn.
inline constexpr std::string_view chat_stop = "\n\nUser:";

namespace detail {
/// The lines of `text` that hold more than white space, without white space at either end of the text.
inline void append_message(std::string& to, std::string_view text) {
  constexpr std::string_view white = " \t\r\v\f\n";
  const auto first = text.find_first_not_of(white);
  if (first == text.npos) return;
  text = text.substr(first, text.find_last_not_of(white) + 1 - first);
  to += ' ';
  for (bool begun = false; !text.empty(); begun = true) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.find_first_not_of(white) == line.npos) continue;
    if (line.back() == '\r') line.remove_suffix(1);
    if (begun) to += '\n';
    to += line;
  }
}
}  // namespace detail

/// The text that asks for the next answer:
///
///   System: {text}\n\nUser: {text}\n\nAssistant: {text}\n\nUser: {text}\n\nAssistant:
///
/// with one part for each message, in any number and order. "\n\n" ends a turn, so no message may hold it: its blank
/// lines are dropped, as is white space (ASCII) at its ends; lines end with "\n". The result ends with the colon: a
/// space after it would be another token than the one an answer begins with.
inline std::string chat_prompt(const std::vector<chat_message>& messages) {
  std::string prompt;
  for (const auto& [role, text] : messages) {
    prompt += role == chat_role::system ? "System:" : role == chat_role::user ? "User:" : "Assistant:";
    detail::append_message(prompt, text);
    prompt += "\n\n";
  }
  return prompt + "Assistant:";
}

}  // namespace rwkv7
