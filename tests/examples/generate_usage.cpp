// SPDX-License-Identifier: MIT
// What generate refuses: one line that says why, and an exit status that says whose fault it was.
#include <doctest/doctest.h>

#include "support/example_models.hpp"
#include "support/program.hpp"
#include "support/vocabulary.hpp"

using rwkv7_test::run_example;
using rwkv7_test::temporary_file;
using rwkv7_test::temporary_folder;

namespace {

using words = std::vector<std::string>;

const std::string& byte_model() {
  static const temporary_file file(rwkv7_test::byte_checkpoint());
  static const std::string path = file.path().string();
  return path;
}
const std::string& small_model() {
  static const temporary_file file(rwkv7_test::small_checkpoint());
  static const std::string path = file.path().string();
  return path;
}

/// generate fails with this status and this one line, without output.
void check_fails(int status, const words& arguments, const std::string& line, const std::string& before = "") {
  CAPTURE(line);
  const auto run = run_example("generate", arguments, before);
  CHECK(run.status == status);
  CHECK(run.err == "generate: " + line + "\n");
  CHECK(run.out == "");
}
void check_refused(const words& arguments, const std::string& line) { check_fails(2, arguments, line); }

/// The same for arguments after a model and a prompt.
void check_option(const words& option, const std::string& line) {
  words arguments{"--model", byte_model(), "--prompt", "hello", "-n", "0"};
  if (option[0] == "-n") arguments.resize(4);
  arguments.insert(arguments.end(), option.begin(), option.end());
  check_refused(arguments, line);
}

}  // namespace

TEST_CASE("without a model, or without something to continue") {
  check_refused({}, "--model is missing; see --help");
  check_refused({"--prompt", "hello"}, "--model is missing; see --help");
  const std::string want = "give one of --prompt, --tokens, --batch and --batch-tokens; see --help";
  check_refused({"--model", byte_model()}, want);
  check_refused({"--model", byte_model(), "--prompt", "a", "--tokens", "1"}, want);
  check_refused({"--model", byte_model(), "--prompt", "a", "--batch", "b"}, want);
  check_refused({"--model", byte_model(), "--batch", "a", "--batch-tokens", "b"}, want);
}

TEST_CASE("options that are unknown, repeated or without a value") {
  check_refused({"--model"}, "--model needs a value");
  check_refused({"--model", ""}, "--model needs a value");
  check_refused({"--model", byte_model(), "--prompt"}, "--prompt needs a value");
  check_refused({"--model", byte_model(), "--prompt", ""}, "--prompt needs a value");
  check_refused({"--model", byte_model(), "--tokens", ""}, "--tokens needs a value");
  check_option({"--logits-out"}, "--logits-out needs a value");
  check_option({"--seed"}, "--seed needs a value");
  check_option({"--seed", "1", "--seed", "1"}, "--seed is given twice");
  check_option({"--prompt", "again"}, "--prompt is given twice");
  check_option({"--verbose"}, "unknown option '--verbose'");
  check_option({"--seed=1"}, "unknown option '--seed=1'");
  check_option({"-h"}, "unknown option '-h'");
  check_option({"more"}, "unexpected argument 'more'");
  check_option({""}, "unexpected argument ''");
  check_option({"--two\nlines"}, "unknown option '--two?lines'");
}

TEST_CASE("whole numbers") {
  const std::string most = "9223372036854775807";
  for (const std::string bad : {"12x", "x", "-1", "+1", " 1", "1 ", "1.5", "0x10", "1e3", "99999999999999999999"}) {
    check_option({"-n", bad}, "-n: got '" + bad + "', want a whole number from 0 to " + most);
    check_option({"--chunk", bad}, "--chunk: got '" + bad + "', want a whole number from 1 to " + most);
    check_option({"--threads", bad}, "--threads: got '" + bad + "', want a whole number from 1 to 1024");
    check_option({"--top-k", bad}, "--top-k: got '" + bad + "', want a whole number from 0 to " + most);
    check_option({"--seed", bad}, "--seed: got '" + bad + "', want a whole number from 0 to 18446744073709551615");
  }
  check_option({"--chunk", "0"}, "--chunk: got '0', want a whole number from 1 to " + most);
  check_option({"--threads", "0"}, "--threads: got '0', want a whole number from 1 to 1024");
  check_option({"--threads", "1025"}, "--threads: got '1025', want a whole number from 1 to 1024");
}

TEST_CASE("numbers with a fraction") {
  for (const std::string bad : {"1x", "x", "1,5", "1 "}) {
    check_option({"--temp", bad}, "--temp: got '" + bad + "', want a number");
    check_option({"--top-p", bad}, "--top-p: got '" + bad + "', want a number");
  }
  check_option({"--temp", "-1"}, "rwkv7::sampler: temperature: got -1, want 0 (greedy) or more");
  check_option({"--temp", "nan"}, "rwkv7::sampler: temperature: got nan, want 0 (greedy) or more");
  check_option({"--temp", "1e99"}, "rwkv7::sampler: temperature: got inf, want 0 (greedy) or more");
  check_option({"--top-p", "0"}, "rwkv7::sampler: top_p: got 0, want more than 0 and at most 1");
  check_option({"--top-p", "1.5"}, "rwkv7::sampler: top_p: got 1.5, want more than 0 and at most 1");
}

TEST_CASE("lists of tokens") {
  for (const std::string bad : {"1,,2", ",1", "1,", ",", "1;2", "1, 2", "-1", "1.5", "x", "2147483648"})
    check_refused({"--model", byte_model(), "--tokens", bad},
                  "--tokens: got '" + bad + "', want numbers like 34,105,110");
  check_refused({"--model", byte_model(), "--tokens", "0,256"}, "--tokens: got 256, want less than 256");
  check_refused({"--model", small_model(), "--tokens", "60,61"}, "--tokens: got 61, want less than 61");
}

TEST_CASE("a prompt for a model whose tokens are not bytes") {
  check_refused({"--model", small_model(), "--prompt", "hello"},
                "--prompt needs a model of 256 tokens, one per byte, or --vocab; this one has 61 tokens");
}

TEST_CASE("a prompt that the vocabulary makes tokens of which the model does not have") {
  const temporary_file vocabulary(rwkv7_test::vocabulary_text(rwkv7_test::single_bytes()));
  const auto path = vocabulary.path().string();
  check_refused({"--model", small_model(), "--vocab", path, "--prompt", "\x07 hi"},
                "--vocab: got token 106 from the text, want less than the model's 61");
  check_refused({"--model", byte_model(), "--vocab", path, "--prompt", "\xff"},
                "--vocab: got token 256 from the text, want less than the model's 256");
}

TEST_CASE("a vocabulary that is none") {
  const temporary_folder folder;
  const auto file = folder.file("vocabulary");
  check_option({"--vocab", file}, "rwkv7::file: " + file + ": does not exist");
  check_option({"--vocab", folder.file("")}, "rwkv7::file: " + folder.file("") + ": is not a regular file");
  check_option({"--vocab", ""}, "--vocab needs a value");
  std::ofstream(file) << "no vocabulary";
  check_option({"--vocab", file},
               "rwkv7::world_tokenizer: " + file + ": line 1: fields: got no vocabulary, want <id> <literal> <length>");
}

TEST_CASE("a chat without a question") {
  check_refused({"--model", byte_model(), "--tokens", "1", "--chat"}, "--chat needs --prompt; see --help");
  check_option({"--chat", "--chat"}, "--chat is given twice");
  check_option({"--chat", "hello"}, "unexpected argument 'hello'");
}

TEST_CASE("files that are no model") {
  const temporary_folder folder;
  const auto file = folder.file("model");
  check_refused({"--model", file, "--prompt", "a"}, "rwkv7::file: " + file + ": does not exist");
  check_refused({"--model", folder.file(""), "--prompt", "a"},
                "rwkv7::file: " + folder.file("model.safetensors") + ": does not exist");
  std::ofstream(file) << "no model";
  const auto run = run_example("generate", {"--model", file, "--prompt", "a"});
  CHECK(run.status == 2);
  CHECK(run.err.starts_with("generate: rwkv7::safetensors: " + file + ": "));
  CHECK(run.err.find('\n') == run.err.size() - 1);
}

TEST_CASE("a model whose logits are not numbers") {
  auto tensors = rwkv7_test::golden_model("n16").checkpoint();
  for (auto& tensor : tensors)
    if (tensor.name == "ln_out.bias") tensor.bytes.replace(0, 4, "\xff\xff\xff\xff");
  const temporary_file file(rwkv7_test::safetensors_bytes(tensors));
  const auto run = run_example("generate", {"--model", file.path().string(), "--tokens", "1"});
  CHECK(run.status == 2);
  CHECK(run.err.ends_with("\ngenerate: rwkv7::sampler: logits[0]: got NaN\n"));
}

TEST_CASE("a file for the logits that would replace the model or the vocabulary") {
  check_option({"--logits-out", byte_model()}, "--logits-out is the model itself");
  const temporary_file vocabulary(rwkv7_test::vocabulary_text(rwkv7_test::single_bytes()));
  const auto path = vocabulary.path().string();
  check_option({"--vocab", path, "--logits-out", path}, "--logits-out is the vocabulary itself");
}

TEST_CASE("what cannot be written is nobody's bad input") {
  const temporary_folder folder;
  const words common{"--model", byte_model(), "--prompt", "hello", "-n", "0", "--logits-out"};
  const auto with = [&](const std::string& file) {
    auto arguments = common;
    arguments.push_back(file);
    return arguments;
  };
  check_fails(1, with(folder.file("none/logits")), folder.file("none/logits") + " cannot be written");
  check_fails(1, with(folder.file("")), folder.file("") + " cannot be written");
  if (std::filesystem::exists("/dev/full")) {
    check_fails(1, with("/dev/full"), "/dev/full cannot be written");
    CHECK(std::filesystem::is_character_file("/dev/full"));
  }
  CHECK(folder.size() == 0);

  // A limit of 4 KiB, and 5 KiB to write: nothing is left behind, and what was there before stays.
  const std::string limit = "trap '' XFSZ; ulimit -f 8;", logits = folder.file("logits");
  check_fails(1, with(logits), logits + " cannot be written", limit);
  CHECK(folder.size() == 0);
  std::ofstream(logits) << "before";
  check_fails(1, with(logits), logits + " cannot be written", limit);
  CHECK(rwkv7_test::content_of(logits) == "before");
  CHECK(folder.size() == 1);
}

TEST_CASE("a standard output that cannot be written") {
  const auto run = run_example("generate", {"--model", byte_model(), "--prompt", "a"}, "exec >&-;");
  CHECK(run.status == 1);
  CHECK(run.err.ends_with("\ngenerate: the standard output cannot be written\n"));
}

TEST_CASE("--help explains and succeeds") {
  const auto run = run_example("generate", {"--help"});
  CHECK(run.status == 0);
  CHECK(run.err == "");
  for (const std::string option :
       {"--model", "--vocab", "--prompt", "--chat", "--tokens", "--batch", "--slots", "-n", "--temp", "--top-p",
        "--top-k", "--seed", "--threads", "--cpu", "--chunk", "--state-in", "--state-out", "--logits-out"})
    CHECK(run.out.find("\n  " + option + " ") != run.out.npos);
}
