// SPDX-License-Identifier: MIT
// How well a language model from a .safetensors file predicts a text.
//
// Exit status: 0, 2 for a command line, a model or a text that cannot be used, 1 for everything else.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <rwkv7/exec/dispatch.hpp>
#include <rwkv7/exec/spin.hpp>
#include <rwkv7/model.hpp>
#include <thread>

#include "support/any_tokenizer.hpp"
#include "support/options.hpp"
#include "support/progress.hpp"
#include "support/run_program.hpp"

using namespace rwkv7;
using examples::bad_input;

namespace {

constexpr char usage[] =
    "perplexity --model FILE [--vocab FILE] TEXTFILE [options]\n"
    "\n"
    "  --model FILE    .safetensors with the tensor names of RWKV-LM\n"
    "  --vocab FILE    the vocabulary of a World model; without it the model needs 256 tokens, one per byte\n"
    "  --limit TOKENS  how many tokens of the text to predict; all\n"
    "  --chunk N       tokens per call; 128\n"
    "  --threads N     as many as the machine has\n"
    "  --cpu NAME      kernels: baseline, avx2, avx512 or avx512vnni; the best that this machine can use\n"
    "\n"
    "Each token is predicted from all before it. With a vocabulary, token 0 (end of document) stands before the text,\n"
    "and every token counts. Without one, the first byte is only read, and every byte after it counts.\n"
    "One line goes to the standard output: bits per byte and per token, and the perplexity, 2 to the bits per token.\n";

struct request {
  std::string model, vocabulary, text, cpu;
  index_t limit, chunk;
  int threads;
};

request read_request(const std::vector<std::string>& arguments) {
  const examples::options given(arguments, {"--model", "--vocab", "--limit", "--chunk", "--threads", "--cpu"}, {}, 1);
  if (!given.has("--model")) throw bad_input("--model is missing; see --help");
  if (given.operands().empty()) throw bad_input("the text file is missing; see --help");
  constexpr index_t most = std::numeric_limits<index_t>::max();
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return {.model = given.text("--model"),
          .vocabulary = given.text("--vocab"),
          .text = given.operands()[0],
          .cpu = given.text("--cpu"),
          .limit = given.whole<index_t>("--limit", most, 1, most),
          .chunk = given.whole<index_t>("--chunk", 128, 1, most),
          .threads = given.whole<int>("--threads", processors, 1, 1024)};
}

/// The tokens of a file, after one that all of them are predicted from.
std::vector<std::int32_t> tokens_of(const std::string& path, const examples::any_tokenizer& tokenizer) {
  diagnosis problem;
  const auto file = file_map::open(path, problem);
  if (problem) throw bad_input(problem.message());
  auto tokens = tokenizer.encode("a text", {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
  const bool parted = tokenizer.has_end_of_document();
  if (parted) tokens.insert(tokens.begin(), world_tokenizer::end_of_document);
  if (tokens.size() < 2)
    throw bad_input(path + ": got " + std::to_string(file.bytes().size()) + " bytes, want at least " +
                    (parted ? "1" : "2"));
  return tokens;
}

/// -log of the probability of a token, in nats: log(sum exp(logits)) - logits[token]. The largest logit is taken out of
/// the sum, which is then between 1 and V.
double surprise(std::span<const float> logits, std::int32_t token) {
  const auto top = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - top);
  return top + std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

void run(const request& r) {
  auto model = language_model<>::open(r.model);
  const index_t V = model.sizes().V;
  const examples::any_tokenizer tokenizer(r.vocabulary, V);
  const auto tokens = tokens_of(r.text, tokenizer);
  const index_t count = std::min(r.limit, static_cast<index_t>(tokens.size()) - 1), chunk = std::min(r.chunk, count);

  const huge_page_memory arena(model.weights_size());
  model.pack(arena.bytes());
  std::vector<float> slot(static_cast<std::size_t>(model.state_size())), rows(static_cast<std::size_t>(chunk * V));
  std::vector<std::byte> scratch(model.workspace_size(dense{1, chunk}));
  dispatch_executor exec(spin_executor(r.threads), r.cpu);

  double nats = 0;
  std::size_t bytes = 0;
  examples::progress progress("text", count, true);
  for (index_t t = 0; t < count; t += chunk) {
    const index_t n = std::min(chunk, count - t);
    model.forward(exec, dense{1, n}, view<const std::int32_t, 2>(tokens.data() + t, {1, n}),
                  {.logits = view<float, 3>(rows.data(), {1, n, V})},
                  carried<float, 2>::in_place(as_view(slot, {1, model.state_size()})), std::span(scratch));
    for (index_t i = 0; i < n; ++i) {
      const std::int32_t next = tokens[static_cast<std::size_t>(t + i + 1)];
      nats += surprise({rows.data() + i * V, static_cast<std::size_t>(V)}, next);
      if (std::isnan(nats)) throw bad_input("token " + std::to_string(t + i + 1) + ": its logits are no numbers");
      bytes += tokenizer.decode(next).size();
    }
    progress.at(t + n);
  }
  progress.finish();

  const double bits = nats / std::log(2.0), per_token = bits / static_cast<double>(count);
  char line[200];
  std::snprintf(line, sizeof line,
                "%.8g bits per byte, %.8g bits per token, perplexity %.8g; %lld tokens, %llu bytes\n",
                bits / static_cast<double>(bytes), per_token, std::exp2(per_token), static_cast<long long>(count),
                static_cast<unsigned long long>(bytes));
  examples::print(line);
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("perplexity", usage, argc, argv,
                               [](const auto& arguments) { run(read_request(arguments)); });
}
