// SPDX-License-Identifier: MIT
// What generate writes, against the same calls of the library.
#include <doctest/doctest.h>

#include <regex>

#include "rwkv7/model/sampler.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/example_models.hpp"
#include "support/executors.hpp"
#include "support/model_call.hpp"
#include "support/program.hpp"

using rwkv7::index_t;
using rwkv7_test::outcome;
using rwkv7_test::run_example;
using rwkv7_test::temporary_file;
using rwkv7_test::temporary_folder;

namespace {

using words = std::vector<std::string>;

const std::string prompt = "The state of \xf0\x9f\x90\xa6 birds, \n'quoted', and enough of them for some calls.";

/// A checkpoint, and the library's own run of it.
class checkpoint {
 public:
  explicit checkpoint(const std::string& content)
      : file_(content), model_(rwkv7::language_model<>::open(file_.path())), packed_(model_) {}
  std::string path() const { return file_.path().string(); }

  std::vector<float> logits(const std::vector<std::int32_t>& tokens, index_t chunk) const {
    rwkv7_test::state_pool<float> state(model_, 1);
    auto exec = rwkv7_test::one_thread();
    return rwkv7_test::prefill(model_, exec, tokens, chunk, state);
  }
  std::vector<std::int32_t> continued(const std::vector<std::int32_t>& tokens, std::size_t count,
                                      const rwkv7::sampler_settings& settings) const {
    rwkv7_test::state_pool<float> state(model_, 1);
    auto exec = rwkv7_test::one_thread();
    rwkv7::sampler choose(model_.sizes().V, settings);
    auto last = rwkv7_test::forward(model_, exec, rwkv7::dense{1, static_cast<index_t>(tokens.size())}, tokens,
                                    state.in_place())
                    .last;
    std::vector<std::int32_t> found;
    while (found.size() < count) {
      found.push_back(choose.sample(last));
      last = rwkv7_test::forward(model_, exec, rwkv7::dense{1, 1}, {found.back()}, state.in_place()).last;
    }
    return found;
  }

 private:
  temporary_file file_;
  rwkv7::language_model<> model_;
  rwkv7_test::packed_parameters<rwkv7::x070, float> packed_;
};

const checkpoint& byte_model() {
  static const checkpoint model(rwkv7_test::byte_checkpoint());
  return model;
}
const checkpoint& small_model() {
  static const checkpoint model(rwkv7_test::small_checkpoint());
  return model;
}

std::vector<std::int32_t> bytes(const std::string& text) {
  std::vector<std::int32_t> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}
std::string text(const std::vector<std::int32_t>& tokens) {
  std::string all;
  for (const std::int32_t token : tokens) all += static_cast<char>(token);
  return all;
}
std::string list(const std::vector<std::int32_t>& tokens) {
  std::string all;
  for (const std::int32_t token : tokens) (all += all.empty() ? "" : ",") += std::to_string(token);
  return all;
}

/// generate succeeds, with nothing on standard error but its two lines.
outcome generate(words arguments, const std::string& model) {
  arguments.insert(arguments.begin(), {"--model", model});
  auto run = run_example("generate", arguments);
  CHECK(run.status == 0);
  const std::regex lines("prompt: [0-9]+ tokens, [0-9.]+ tokens/s\ngeneration: [0-9]+ tokens, [0-9.]+ tokens/s\n");
  CHECK(std::regex_match(run.err, lines));
  return run;
}

std::vector<float> floats_in(const std::string& path) {
  const auto content = rwkv7_test::content_of(path);
  std::vector<float> values(content.size() / sizeof(float));
  CHECK(content.size() % sizeof(float) == 0);
  std::memcpy(values.data(), content.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

TEST_CASE("--logits-out holds the library's own bits, one row for every given token") {
  const temporary_folder folder;
  const auto file = folder.file("logits");
  const auto whole = byte_model().logits(bytes(prompt), static_cast<index_t>(prompt.size()));
  CHECK(whole.size() == 256 * prompt.size());
  for (const index_t chunk : {1, 7, 32, 1000})
    for (const int threads : {1, 3}) {
      CAPTURE(chunk);
      CAPTURE(threads);
      const auto run = generate({"--prompt", prompt, "-n", "0", "--chunk", std::to_string(chunk), "--threads",
                                 std::to_string(threads), "--logits-out", file},
                                byte_model().path());
      CHECK(run.out == "");
      const auto got = floats_in(file);
      CHECK(rwkv7_test::same_bits(got, byte_model().logits(bytes(prompt), chunk)));
      CHECK(rwkv7_test::relative_l2(got, whole) <= rwkv7_test::budget::split);
    }
  CHECK(folder.size() == 1);
}

TEST_CASE("without --temp the text is the likeliest, and nothing else goes to standard output") {
  const auto want = text(byte_model().continued(bytes(prompt), 40, {}));
  CHECK(generate({"--prompt", prompt, "-n", "40"}, byte_model().path()).out == want);
  CHECK(generate({"--tokens", list(bytes(prompt)), "-n", "40"}, byte_model().path()).out == want);
  CHECK(generate({"--prompt", prompt, "-n", "1"}, byte_model().path()).out == want.substr(0, 1));
  CHECK(generate({"--prompt", prompt}, byte_model().path()).out.size() == 64);
}

TEST_CASE("with --temp the text is the sampler's") {
  const auto want = text(byte_model().continued(bytes(prompt), 40, {.temperature = 0.8f, .top_p = 0.9f, .seed = 5}));
  const words arguments{"--prompt", prompt, "-n", "40", "--temp", "0.8", "--top-p", "0.9", "--seed"};
  const auto seeded = [&](const std::string& seed) {
    auto all = arguments;
    all.push_back(seed);
    return generate(all, byte_model().path()).out;
  };
  CHECK(seeded("5") == want);
  CHECK(seeded("6") != want);
  CHECK(seeded("18446744073709551615").size() == 40);
  const auto likeliest = generate({"--prompt", prompt, "-n", "40"}, byte_model().path()).out;
  CHECK(generate({"--prompt", prompt, "-n", "40", "--temp", "2", "--top-k", "1"}, byte_model().path()).out ==
        likeliest);
}

TEST_CASE("what has no effect without --temp is said to have none") {
  const auto run = run_example("generate", {"--model", byte_model().path(), "--prompt", "a", "-n", "1", "--seed", "3"});
  CHECK(run.status == 0);
  CHECK(run.err.starts_with("generate: greedy without --temp: --top-p, --top-k and --seed change nothing\nprompt: "));
}

TEST_CASE("a model whose tokens are not bytes continues numbers with numbers") {
  const std::vector<std::int32_t> tokens{0, 60, 17, 17};
  const auto want = list(small_model().continued(tokens, 10, {}));
  CHECK(generate({"--tokens", list(tokens), "-n", "10"}, small_model().path()).out == want + "\n");
  CHECK(generate({"--tokens", list(tokens), "-n", "0"}, small_model().path()).out == "");
}
