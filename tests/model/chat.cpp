// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
#include "rwkv7/model/chat.hpp"

#include <doctest/doctest.h>

#include <random>

#include "rwkv7/model/stop_strings.hpp"

using rwkv7::chat_prompt;

namespace {
constexpr auto from_system = rwkv7::chat_role::system, user = rwkv7::chat_role::user,
               assistant = rwkv7::chat_role::assistant;
}

TEST_CASE("one question") { CHECK(chat_prompt({{user, "Who are you?"}}) == "User: Who are you?\n\nAssistant:"); }

TEST_CASE("a conversation with a system message") {
  CHECK(chat_prompt({{from_system, "Be brief."}, {user, "Hi."}, {assistant, "Hello."}, {user, "Bye."}}) ==
        "System: Be brief.\n\nUser: Hi.\n\nAssistant: Hello.\n\nUser: Bye.\n\nAssistant:");
}

TEST_CASE("nothing said") {
  CHECK(chat_prompt({}) == "Assistant:");
  CHECK(chat_prompt({{user, ""}}) == "User:\n\nAssistant:");
  CHECK(chat_prompt({{user, " \r\n\t\n "}}) == "User:\n\nAssistant:");
}

TEST_CASE("blank lines and white space at the ends go, lines and indentation stay") {
  const auto message = [](std::string_view text) {
    const auto prompt = chat_prompt({{user, text}});
    return prompt.substr(6, prompt.size() - 6 - 12);
  };
  CHECK(message("a\nb") == "a\nb");
  CHECK(message("a\n\nb") == "a\nb");
  CHECK(message("a\n\n\n\nb\n\nc") == "a\nb\nc");
  CHECK(message("a\n \t\n\v\f\nb") == "a\nb");
  CHECK(message("a\r\nb\r\n\r\nc") == "a\nb\nc");
  CHECK(message("\n\n  a  \n\n") == "a");
  CHECK(message("if x:\n\n    y  \n  z") == "if x:\n    y  \n  z");
  CHECK(message("a\rb") == "a\rb");
  CHECK(message("caf\xc3\xa9\n\n\xe4\xbd\xa0") == "caf\xc3\xa9\n\xe4\xbd\xa0");
}

TEST_CASE("no message can end its turn") {
  std::mt19937 random(1);
  const std::string_view parts[] = {"\n", "\r", "\n", " ", "\t", "User:", "Assistant:", "a"};
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text;
    while (text.size() < 12) text += parts[random() % 8];
    const auto prompt = chat_prompt({{user, text}});
    CHECK(prompt.find("\n\n") == prompt.size() - 12);
    CHECK(prompt.ends_with("\n\nAssistant:"));
    CHECK(prompt.find(rwkv7::chat_stop) == prompt.npos);
  }
}
