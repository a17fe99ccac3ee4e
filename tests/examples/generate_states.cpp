// SPDX-License-Identifier: MIT
// generate with states from files and to files, and with many prompts at once: each gives what it gives alone.
#include <doctest/doctest.h>

#include <sstream>

#include "rwkv7/model/state_file.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/example_models.hpp"
#include "support/executors.hpp"
#include "support/model_call.hpp"
#include "support/program.hpp"

using namespace rwkv7_test;
using rwkv7::index_t;

namespace {

using words = std::vector<std::string>;

const std::string& byte_model() {
  static const temporary_file file(byte_checkpoint());
  static const std::string path = file.path().string();
  return path;
}
const std::string& small_model() {
  static const temporary_file file(small_checkpoint());
  static const std::string path = file.path().string();
  return path;
}

outcome generate(const std::string& model, words arguments) {
  arguments.insert(arguments.begin(), {"--model", model});
  auto run = run_example("generate", arguments);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  return run;
}
void check_refused(const std::string& model, words arguments, const std::string& line, int status = 2) {
  arguments.insert(arguments.begin(), {"--model", model});
  const auto run = run_example("generate", arguments);
  CHECK(run.status == status);
  CHECK(run.err.ends_with("generate: " + line + "\n"));
  CHECK(run.out == "");
}

words split(const std::string& text) {
  words lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}
std::string unescaped(const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i)
    text += line[i] != '\\' ? line[i] : line[++i] == 'n' ? '\n' : line[i] == 'r' ? '\r' : '\\';
  return text;
}

struct kept {
  std::uint64_t position;
  std::vector<float> state;
};
kept read(const std::string& path, const rwkv7::language_model<>& model) {
  const auto file = rwkv7::state_file::open(path);
  CHECK(file.slots() == 1);
  kept result{0, std::vector<float>(count_of(model.state_size()))};
  result.position =
      *file.read(rwkv7::state_format_of(model), 0, view<float, 1>(result.state.data(), {model.state_size()}));
  return result;
}

const std::string first = "Thirty-two bytes, and no others.", second = " And then \n some more";

}  // namespace

TEST_CASE("a text in two runs is the text in one") {
  REQUIRE(first.size() == 32);  // so that the same bits are promised
  const temporary_folder folder;
  const auto state = folder.file("state");
  const auto want = generate(byte_model(), {"--prompt", first + second, "-n", "30"}).out;
  CHECK(generate(byte_model(), {"--prompt", first, "-n", "0", "--state-out", state}).out == "");
  CHECK(generate(byte_model(), {"--state-in", state, "--prompt", second, "-n", "30"}).out == want);
  CHECK(generate(byte_model(), {"--prompt", second, "-n", "30"}).out != want);
  CHECK(folder.size() == 1);

  auto model = rwkv7::language_model<>::open(byte_model());
  const packed_parameters parameters(model);
  auto exec = one_thread();
  state_pool<float> pool(model, 1);
  std::vector<std::int32_t> tokens;
  for (const char c : first) tokens.push_back(static_cast<unsigned char>(c));
  prefill(model, exec, tokens, 32, pool);
  const auto got = read(state, model);
  CHECK(got.position == 32);
  CHECK(same_bits(got.state, pool.values));
}

TEST_CASE("the state that is kept has seen the last generated token too") {
  const temporary_folder folder;
  const auto state = folder.file("state"), again = folder.file("again");
  const auto text = generate(byte_model(), {"--prompt", first, "-n", "5", "--state-out", state}).out;
  CHECK(text.size() == 5);
  const auto model = rwkv7::language_model<>::open(byte_model());
  CHECK(read(state, model).position == 37);
  std::string tokens;  // an argument cannot hold a byte 0
  for (const char c : first + text)
    (tokens += tokens.empty() ? "" : ",") += std::to_string(static_cast<unsigned char>(c));
  generate(byte_model(), {"--tokens", tokens, "-n", "0", "--state-out", again});
  CHECK(read(again, model).position == 37);
  CHECK(relative_l2(read(state, model).state, read(again, model).state) <= budget::split);
  // In place of the file it came from.
  generate(byte_model(), {"--state-in", state, "--prompt", second, "-n", "1", "--state-out", state});
  CHECK(read(state, model).position == 37 + second.size() + 1);
}

TEST_CASE("every line of a batch gives what it gives alone, in the order of the lines") {
  const temporary_folder folder;
  const auto file = folder.file("prompts");
  const words prompts = {
      "a", first + second.substr(0, 10), "back\\slash", std::string(100, 'x'), first, "b", "zz", first + "!"};
  {
    std::ofstream stream(file, std::ios::binary);
    for (const auto& prompt : prompts) stream << prompt << (prompt == "b" ? "\r\n" : "\n");
  }
  for (const words& sampling : {words{}, words{"--temp", "1.5", "--seed", "3"}})
    for (const std::string chunk : {"7", "32"}) {
      words alone;
      for (const auto& prompt : prompts) {
        words arguments{"--prompt", prompt, "-n", "12", "--chunk", chunk};
        arguments.insert(arguments.end(), sampling.begin(), sampling.end());
        alone.push_back(generate(byte_model(), arguments).out);
      }
      for (const std::string slots : {"1", "3", "8", "100"}) {
        CAPTURE(slots);
        CAPTURE(chunk);
        words arguments{"--batch", file, "-n", "12", "--chunk", chunk, "--slots", slots};
        arguments.insert(arguments.end(), sampling.begin(), sampling.end());
        auto lines = split(generate(byte_model(), arguments).out);
        for (auto& line : lines) line = unescaped(line);
        CHECK(lines == alone);
      }
    }
  CHECK(generate(byte_model(), {"--batch", file, "-n", "0"}).out == std::string(prompts.size(), '\n'));
}

TEST_CASE("a batch of token lists, from a state they share") {
  const temporary_folder folder;
  const auto file = folder.file("prompts"), state = folder.file("state");
  const words prompts = {"1,2,3", "60", "5,5,5,5,5,5,5", "0,1"};
  {
    std::ofstream stream(file);
    for (const auto& prompt : prompts) stream << prompt << '\n';
  }
  generate(small_model(), {"--tokens", "7,8,9", "-n", "0", "--state-out", state});
  words alone;
  for (const auto& prompt : prompts)
    alone.push_back(split(generate(small_model(), {"--tokens", prompt, "-n", "9", "--state-in", state}).out).at(0));
  for (const std::string slots : {"1", "2", "4"})
    CHECK(split(generate(small_model(), {"--batch-tokens", file, "-n", "9", "--state-in", state, "--slots", slots})
                    .out) == alone);
}

TEST_CASE("states and batches that cannot be used are refused by name") {
  const temporary_folder folder;
  const auto file = folder.file("file"), two = folder.file("two");
  const auto model = rwkv7::language_model<>::open(small_model());
  const std::vector<float> zeros(count_of(2 * model.state_size()));
  rwkv7::save_states(two, rwkv7::state_format_of(model), view<const float, 2>(zeros.data(), {2, model.state_size()}));
  const words single{"--tokens", "1", "-n", "0"};
  const auto with = [&](words more) {
    more.insert(more.end(), single.begin(), single.end());
    return more;
  };
  check_refused(small_model(), with({"--state-in", file}), "rwkv7::file: " + file + ": does not exist");
  check_refused(small_model(), with({"--state-in", two}), two + ": holds 2 states, want one to begin from");
  check_refused(small_model(), with({"--state-in", small_model()}),
                "rwkv7::state_file: " + small_model() + ": is not a state file: it does not begin with RWK7ST");
  check_refused(small_model(), with({"--state-out", small_model()}), "--state-out is the model itself");
  check_refused(small_model(), with({"--state-out", folder.file("none/x")}),
                folder.file("none/x") + " cannot be written", 1);
  check_refused(small_model(), with({"--slots", "2"}), "--slots is for a --batch");

  const auto batch = [&](const std::string& option, const std::string& content, const std::string& line,
                         const words& more = {}) {
    std::ofstream(file, std::ios::binary) << content;
    words arguments{option, file, "-n", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    check_refused(small_model(), arguments, line);
  };
  batch("--batch", "a\n", "--batch needs a model of 256 tokens, one per byte, or --vocab; this one has 61 tokens");
  batch("--batch-tokens", "", file + ": has no lines, or cannot be read");
  batch("--batch-tokens", "1\n\n2\n", file + ": line 2 is empty");
  batch("--batch-tokens", "1\nx\n", file + ": line 2: got 'x', want numbers like 34,105,110");
  batch("--batch-tokens", "1,61\n", file + ": line 1: got 61, want less than 61");
  batch("--batch-tokens", "1\n", "--logits-out and --state-out are for a single text", {"--state-out", two});
  batch("--batch-tokens", "1\n", "--logits-out and --state-out are for a single text", {"--logits-out", two});
  batch("--batch-tokens", "1\n", "--slots: got '0', want a whole number from 1 to 1024", {"--slots", "0"});
}
