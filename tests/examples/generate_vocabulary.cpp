// SPDX-License-Identifier: MIT
// generate with a vocabulary, and as a chat, against the library's own run of the same tokens.
#include <doctest/doctest.h>

#include "rwkv7/model/sampler.hpp"
#include "support/example_models.hpp"
#include "support/executors.hpp"
#include "support/model_call.hpp"
#include "support/program.hpp"
#include "support/vocabulary.hpp"

using rwkv7_test::index_t;
using rwkv7_test::outcome;
using rwkv7_test::temporary_file;
using ids = std::vector<std::int32_t>;

namespace {

const rwkv7_test::token_bytes vocabulary = rwkv7_test::single_bytes_and(
    {"the", " th", "caf\xc3\xa9", "\xe4\xbd\xa0", "\n\nUser:", "User:", "Assistant:", "\n\n", "  "});
constexpr std::size_t count = 30;

/// What the library makes of a prompt, and what generate writes of that.
struct continuation {
  ids tokens;
  std::string text{};    // of the tokens before the first 0; those without bytes are silent
  std::size_t used = 0;  // how many those are

  void cut() {
    for (; used < tokens.size() && tokens[used] != 0; ++used)
      if (const auto found = vocabulary.find(tokens[used]); found != vocabulary.end()) text += found->second;
  }
  /// Cut at the end of the first token with which `stop` is complete.
  void cut(const std::string& stop) {
    cut();
    const auto all = text;
    const auto end = all.find(stop);
    if (end == all.npos) return;
    std::size_t size = 0;
    for (used = 0; size < end + stop.size(); ++used)
      if (const auto found = vocabulary.find(tokens[used]); found != vocabulary.end()) size += found->second.size();
    text = all.substr(0, end);
  }
};

/// A model with some tokens more than its vocabulary has, as published ones are.
class world_model {
 public:
  continuation library(const ids& prompt, std::uint64_t seed) const {
    rwkv7_test::state_pool<float> state(model_, 1);
    auto exec = rwkv7_test::one_thread();
    rwkv7::sampler choose(model_.sizes().V, {.temperature = 2, .seed = seed});
    auto last = rwkv7_test::forward(model_, exec, rwkv7::dense{1, static_cast<index_t>(prompt.size())}, prompt,
                                    state.in_place())
                    .last;
    continuation found{};
    while (found.tokens.size() < count) {
      found.tokens.push_back(choose.sample(last));
      last = rwkv7_test::forward(model_, exec, rwkv7::dense{1, 1}, {found.tokens.back()}, state.in_place()).last;
    }
    return found;
  }

  outcome generate(std::vector<std::string> arguments, std::uint64_t seed) const {
    const auto path = file_.path().string(), words = words_.path().string();
    arguments.insert(arguments.begin(), {"--model", path, "--vocab", words, "-n", std::to_string(count), "--temp", "2",
                                         "--seed", std::to_string(seed)});
    return rwkv7_test::run_example("generate", arguments);
  }

 private:
  temporary_file file_{rwkv7_test::checkpoint_of_tokens(270)}, words_{rwkv7_test::vocabulary_text(vocabulary)};
  rwkv7::language_model<> model_ = rwkv7::language_model<>::open(file_.path());
};

const world_model& model() {
  static const world_model instance;
  return instance;
}

void check_equal(const outcome& run, const continuation& want) {
  CHECK(run.status == 0);
  CHECK(run.out == want.text);
  CHECK(run.err.find("\ngeneration: " + std::to_string(want.used) + " tokens, ") != run.err.npos);
}

}  // namespace

TEST_CASE("a prompt becomes tokens of the vocabulary, and tokens become text until one ends the document") {
  const std::string prompt = "Over the caf\xc3\xa9  \xff";
  const auto tokens = rwkv7_test::naive_encode(vocabulary, prompt);
  CHECK(tokens.size() == prompt.size() - 2 - 4 - 1);  // " th" leaves e, café and two spaces are one each
  int ended = 0, whole = 0, silent = 0;
  for (std::uint64_t seed = 0; (ended < 3 || whole < 3) && seed < 200; ++seed) {
    auto want = model().library(tokens, seed);
    want.cut();
    int& seen = want.used < count ? ended : whole;
    if (++seen > 3) continue;
    for (std::size_t i = 0; i < want.used; ++i) silent += want.tokens[i] > 265;
    check_equal(model().generate({"--prompt", prompt}, seed), want);
    std::string list;
    for (const auto token : tokens) (list += list.empty() ? "" : ",") += std::to_string(token);
    check_equal(model().generate({"--tokens", list}, seed), want);
  }
  CHECK(ended >= 3);
  CHECK(whole >= 3);
  CHECK(silent > 0);
}

TEST_CASE("--chat asks as a user and stops before the next question") {
  const auto tokens = rwkv7_test::naive_encode(vocabulary, "User: one\ntwo\n\nAssistant:");
  int stopped = 0, went_on = 0;
  for (std::uint64_t seed = 0; (stopped < 3 || went_on < 3) && seed < 1000; ++seed) {
    auto want = model().library(tokens, seed);
    want.cut();
    const auto before = want.text.size();
    want.text.clear(), want.used = 0;
    want.cut("\n\nUser:");
    int& seen = want.text.size() < before ? stopped : went_on;
    if (++seen > 3) continue;
    check_equal(model().generate({"--chat", "--prompt", " one\r\n\n\ntwo\n"}, seed), want);
  }
  CHECK(stopped >= 3);
  CHECK(went_on >= 3);
}

TEST_CASE("a model of bytes chats too") {
  const temporary_file bytes(rwkv7_test::byte_checkpoint());
  const auto generate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--model", bytes.path().string(), "-n", "20", "--prompt"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return rwkv7_test::run_example("generate", arguments).out;
  };
  CHECK(generate({"hello", "--chat"}) == generate({"User: hello\n\nAssistant:"}));
  CHECK(generate({"hello", "--chat"}).size() == 20);
}
