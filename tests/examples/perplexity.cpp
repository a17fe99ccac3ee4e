// SPDX-License-Identifier: MIT
// What perplexity prints, against logits that NumPy made, and against the formula itself on the reference executor.
#include <doctest/doctest.h>

#include "rwkv7/exec/reference.hpp"
#include "support/example_models.hpp"
#include "support/model_call.hpp"
#include "support/perplexity.hpp"
#include "support/program.hpp"
#include "support/vocabulary.hpp"

using rwkv7_test::index_t;
using rwkv7_test::perplexity_of;
using rwkv7_test::run_example;
using rwkv7_test::score;
using rwkv7_test::temporary_file;
using ids = std::vector<std::int32_t>;
using words = std::vector<std::string>;

namespace {

/// All logits of these tokens on the reference executor in double.
std::vector<double> exact_logits(const temporary_file& checkpoint, const ids& tokens) {
  const auto model = rwkv7::language_model<rwkv7::x070, double>::open(checkpoint.path());
  rwkv7_test::state_pool<double> state(model, 1);
  rwkv7::reference_executor exec;
  return rwkv7_test::prefill(model, exec, tokens, static_cast<index_t>(tokens.size()), state);
}

std::span<const double> row(const std::vector<double>& logits, std::size_t t, std::size_t V) {
  return std::span(logits).subspan(t * V, V);
}

const std::string text =
    "Bits per byte \xf0\x9f\x90\xa6 of a text that takes some calls,\nand is none that a model knows.";

ids bytes_of_text() {
  ids tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

}  // namespace

TEST_CASE("the logits that NumPy made of the golden model's tokens") {
  const rwkv7_test::golden_model golden("n16");
  const auto tokens = golden.tokens();
  const auto V = static_cast<std::size_t>(golden.size("V"));
  // The first token changes places with 0, so that it is what stands before a text; it comes again after 10 others.
  const std::size_t first = static_cast<std::size_t>(tokens[0]), scored = 10;
  auto tensors = golden.checkpoint();
  for (auto& tensor : tensors)
    if (tensor.name == "emb.weight" || tensor.name == "head.weight") {
      const std::size_t row = tensor.bytes.size() / V;
      for (std::size_t i = 0; i < row; ++i) std::swap(tensor.bytes[i], tensor.bytes[first * row + i]);
    }
  const temporary_file model(rwkv7_test::safetensors_bytes(tensors));
  auto vocabulary = rwkv7_test::single_bytes(1000);
  for (std::int32_t id = 1; id < static_cast<std::int32_t>(V); ++id) vocabulary[id] = "<" + std::to_string(id) + ">";
  const temporary_file vocabulary_file(rwkv7_test::vocabulary_text(vocabulary));

  std::string words_of_tokens;
  score want;
  const auto logits = golden.values("logits");  // [B, T, V]
  for (std::size_t t = 0; t < scored; ++t) {
    const auto next = tokens[t + 1];
    CHECK(next != 0);
    CHECK(next != tokens[0]);
    want.add(row(logits, t, V), next, vocabulary[next].size());
    words_of_tokens += vocabulary[next];
  }
  const temporary_file whole(words_of_tokens), longer(words_of_tokens + "<1><28><40>");
  const words common{"--model", model.path().string(), "--vocab", vocabulary_file.path().string()};
  for (const std::string chunk : {"1", "3", "128"}) {
    CAPTURE(chunk);
    perplexity_of(common, whole, {"--chunk", chunk}).check(want, 1e-5);
    perplexity_of(common, longer, {"--chunk", chunk, "--limit", "10"}).check(want, 1e-5);
  }
}

TEST_CASE("bytes: the first is only read") {
  const temporary_file model(rwkv7_test::byte_checkpoint()), file(text);
  const auto tokens = bytes_of_text();
  const auto logits = exact_logits(model, tokens);
  const auto want = [&](std::size_t count) {
    score all;
    for (std::size_t t = 0; t < count; ++t) all.add(row(logits, t, 256), tokens[t + 1], 1);
    return all;
  };
  const words common{"--model", model.path().string()};
  for (const std::string threads : {"1", "2"})
    for (const std::string chunk : {"1", "7", "32", "1000"})
      perplexity_of(common, file, {"--threads", threads, "--chunk", chunk}).check(want(text.size() - 1), 1e-5);
  perplexity_of(common, file, {"--limit", "1"}).check(want(1), 1e-5);
  perplexity_of(common, file, {"--limit", "33", "--chunk", "32"}).check(want(33), 1e-5);
  perplexity_of(common, file, {"--limit", "1000000"}).check(want(text.size() - 1), 1e-5);
}

TEST_CASE("a vocabulary: the end of a document stands before the first token") {
  const temporary_file model(rwkv7_test::checkpoint_of_tokens(270)), file(text);
  const auto vocabulary = rwkv7_test::single_bytes_and({"it", " te", "xt", "\xf0\x9f", "ns", " of a"});
  const temporary_file vocabulary_file(rwkv7_test::vocabulary_text(vocabulary));
  auto tokens = rwkv7_test::naive_encode(vocabulary, text);
  tokens.insert(tokens.begin(), 0);
  const auto logits = exact_logits(model, tokens);
  score want;
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t)
    want.add(row(logits, t, 270), tokens[t + 1], vocabulary.at(tokens[t + 1]).size());
  CHECK(want.bytes == text.size());
  CHECK(want.tokens < text.size());
  perplexity_of({"--model", model.path().string(), "--vocab", vocabulary_file.path().string()}, file, {})
      .check(want, 1e-5);
}

TEST_CASE("logits too large for exp") {
  auto tensors = rwkv7_test::golden_model("n16").checkpoint();
  for (auto& tensor : tensors) {
    const bool head = tensor.name == "head.weight";
    if (!head && tensor.name != "emb.weight") continue;
    auto values = rwkv7_test::pattern("large/" + tensor.name, 256 * tensor.shape[1], 0, head ? 200 : 1);
    tensor.shape[0] = 256;
    tensor.bytes = rwkv7_test::bytes_of(values);
  }
  const temporary_file model(rwkv7_test::safetensors_bytes(tensors)), file(text);
  const auto tokens = bytes_of_text();
  const auto logits = exact_logits(model, tokens);
  CHECK(*std::max_element(logits.begin(), logits.end()) > 800);
  score want;
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t) want.add(row(logits, t, 256), tokens[t + 1], 1);
  perplexity_of({"--model", model.path().string()}, file, {}).check(want, 1e-5);
}

TEST_CASE("what perplexity refuses: one line that says why") {
  const temporary_file bytes(rwkv7_test::byte_checkpoint()), small(rwkv7_test::small_checkpoint()), file(text);
  const temporary_file empty(""), one("a"), vocabulary(rwkv7_test::vocabulary_text(rwkv7_test::single_bytes()));
  const auto path = [](const temporary_file& f) { return f.path().string(); };
  const auto refused = [](const words& arguments) {
    const auto run = run_example("perplexity", arguments);
    CHECK(run.status == 2);
    CHECK(run.out == "");
    CHECK(run.err.find('\n') == run.err.size() - 1);
    return run.err.substr(0, run.err.size() - 1);
  };
  const std::string model = path(bytes), p = "perplexity: ";
  CHECK(refused({}) == p + "--model is missing; see --help");
  CHECK(refused({"--model", model}) == p + "the text file is missing; see --help");
  CHECK(refused({"--model", model, "a", "b"}) == p + "unexpected argument 'b'");
  CHECK(refused({"--model", model, ""}) == p + "unexpected argument ''");
  CHECK(
      refused({"--model", model, path(file), "--limit", "0"}).starts_with(p + "--limit: got '0', want a whole number"));
  CHECK(
      refused({"--model", model, path(file), "--chunk", "0"}).starts_with(p + "--chunk: got '0', want a whole number"));
  CHECK(refused({"--model", model, path(file), "-n", "1"}) == p + "unknown option '-n'");
  CHECK(refused({"--model", "/no/such/file", path(file)}) == p + "rwkv7::file: /no/such/file: does not exist");
  CHECK(refused({"--model", model, "/no/such/file"}) == p + "rwkv7::file: /no/such/file: does not exist");
  CHECK(refused({"--model", model, "/"}) == p + "rwkv7::file: /: is not a regular file");
  CHECK(refused({"--model", model, path(empty)}) == p + path(empty) + ": got 0 bytes, want at least 2");
  CHECK(refused({"--model", model, path(one)}) == p + path(one) + ": got 1 bytes, want at least 2");
  CHECK(refused({"--model", model, path(empty), "--vocab", path(vocabulary)}) ==
        p + path(empty) + ": got 0 bytes, want at least 1");
  CHECK(refused({"--model", path(small), path(file)}) ==
        p + "a text needs a model of 256 tokens, one per byte, or --vocab; this one has 61 tokens");
  CHECK(refused({"--model", path(small), path(file), "--vocab", path(vocabulary)}) ==
        p + "--vocab: got token 241 from the text, want less than the model's 61");
}

TEST_CASE("a model whose logits are not numbers") {
  const temporary_file file(text);
  auto tensors = rwkv7_test::golden_model("n16").checkpoint();
  for (auto& tensor : tensors) {
    if (tensor.name == "ln_out.bias") tensor.bytes.replace(0, 4, "\xff\xff\xff\xff");
    if (tensor.name != "emb.weight" && tensor.name != "head.weight") continue;
    tensor.bytes = rwkv7_test::bytes_of(rwkv7_test::pattern(tensor.name, 256 * tensor.shape[1], 0, 1));
    tensor.shape[0] = 256;
  }
  const temporary_file model(rwkv7_test::safetensors_bytes(tensors));
  const auto run = run_example("perplexity", {"--model", model.path().string(), file.path().string()});
  CHECK(run.status == 2);
  CHECK(run.out == "");
  CHECK(run.err == "perplexity: token 1: its logits are no numbers\n");
}

TEST_CASE("one token has a perplexity") {
  const temporary_file model(rwkv7_test::checkpoint_of_tokens(270)), one("a");
  const temporary_file vocabulary(rwkv7_test::vocabulary_text(rwkv7_test::single_bytes()));
  const auto run = run_example(
      "perplexity", {"--model", model.path().string(), "--vocab", vocabulary.path().string(), one.path().string()});
  CHECK(run.status == 0);
  CHECK(run.out.ends_with("; 1 tokens, 1 bytes\n"));
}

TEST_CASE("--help explains and succeeds") {
  const auto run = run_example("perplexity", {"--help"});
  CHECK(run.status == 0);
  CHECK(run.err == "");
  for (const std::string option : {"--model", "--vocab", "--limit", "--chunk", "--threads"})
    CHECK(run.out.find("\n  " + option + " ") != run.out.npos);
}
