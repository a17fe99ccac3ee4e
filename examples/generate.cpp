// SPDX-License-Identifier: MIT
// Continues a text with a language model from a .safetensors file.
//
// Exit status: 0, 2 for a command line or a model that cannot be used, 1 for everything else.
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <rwkv7/exec/threads.hpp>
#include <rwkv7/model.hpp>
#include <thread>

#include "support/any_tokenizer.hpp"
#include "support/options.hpp"
#include "support/progress.hpp"
#include "support/run_program.hpp"
#include "support/whole_file.hpp"

using namespace rwkv7;
using examples::any_tokenizer;
using examples::bad_input;
using examples::is_terminal;
using examples::print;
using examples::progress;

namespace {

constexpr char usage[] =
    "generate --model FILE (--prompt TEXT | --tokens 34,105,110) [options]\n"
    "\n"
    "  --model FILE       .safetensors with the tensor names of RWKV-LM\n"
    "  --vocab FILE       the vocabulary of a World model; without it a model of 256 tokens has one per byte\n"
    "  --prompt TEXT      the text to continue\n"
    "  --chat             the prompt is what a user asks, and the text its answer\n"
    "  --tokens LIST      the tokens to continue\n"
    "  -n N               how many tokens to generate; 64\n"
    "  --temp X           temperature; without it, or at 0, the most probable token is taken\n"
    "  --top-p X          draw from the most probable tokens that reach X together; 1\n"
    "  --top-k N          draw from the N most probable tokens; 0 for all\n"
    "  --seed N           of the draw; 0\n"
    "  --threads N        as many as the machine has\n"
    "  --chunk N          tokens of the prompt per call; 128\n"
    "  --logits-out FILE  the logits after every given token: [tokens, vocabulary] float32, little-endian\n"
    "\n"
    "Generated text goes to the standard output, or token numbers where tokens are not bytes and there is no --vocab.\n"
    "With --vocab, token 0 ends the text.\n";

struct request {
  std::string model, vocabulary, prompt;
  bool chat;
  std::vector<std::int32_t> tokens;
  std::string logits_out;
  index_t n, chunk;
  int threads;
  sampler_settings sampling;
};

request read_request(const std::vector<std::string>& arguments) {
  const examples::options given(arguments,
                                {"--model", "--vocab", "--prompt", "--tokens", "-n", "--temp", "--top-p", "--top-k",
                                 "--seed", "--threads", "--chunk", "--logits-out"},
                                {"--chat"});
  if (!given.has("--model")) throw bad_input("--model is missing; see --help");
  if (given.has("--prompt") == given.has("--tokens")) throw bad_input("give either --prompt or --tokens; see --help");
  if (given.has("--chat") && !given.has("--prompt")) throw bad_input("--chat needs --prompt; see --help");
  constexpr index_t most = std::numeric_limits<index_t>::max();
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const request r{.model = given.text("--model"),
                  .vocabulary = given.text("--vocab"),
                  .prompt = given.text("--prompt"),
                  .chat = given.has("--chat"),
                  .tokens = given.list("--tokens"),
                  .logits_out = given.text("--logits-out"),
                  .n = given.whole<index_t>("-n", 64, 0, most),
                  .chunk = given.whole<index_t>("--chunk", 128, 1, most),
                  .threads = given.whole<int>("--threads", processors, 1, 1024),
                  .sampling = {.temperature = given.real("--temp", 0),
                               .top_p = given.real("--top-p", 1),
                               .top_k = given.whole<index_t>("--top-k", 0, 0, most),
                               .seed = given.whole<std::uint64_t>("--seed", 0, 0, ~std::uint64_t{0})}};
  if (const auto problem = validate_sampler(r.sampling)) throw bad_input(problem.message());
  if (r.sampling.temperature == 0 && (given.has("--top-p") || given.has("--top-k") || given.has("--seed")))
    std::fputs("generate: greedy without --temp: --top-p, --top-k and --seed change nothing\n", stderr);
  return r;
}

void run(request r) {
  auto model = language_model<>::open(r.model);
  const index_t V = model.sizes().V;
  const any_tokenizer tokenizer(r.vocabulary, V);
  if (r.chat) r.prompt = chat_prompt({{chat_role::user, r.prompt}});
  if (!r.prompt.empty()) r.tokens = tokenizer.encode("--prompt", r.prompt);
  for (const std::int32_t token : r.tokens)
    if (token >= V) throw bad_input("--tokens: got " + std::to_string(token) + ", want less than " + std::to_string(V));
  std::error_code failure;
  if (std::filesystem::equivalent(r.model, r.logits_out, failure)) throw bad_input("--logits-out is the model itself");
  if (std::filesystem::equivalent(r.vocabulary, r.logits_out, failure))
    throw bad_input("--logits-out is the vocabulary itself");
  std::optional<examples::whole_file> file;
  if (!r.logits_out.empty()) file.emplace(r.logits_out);

  // Parameters, state and scratch memory: the program's, asked for once.
  const auto given = static_cast<index_t>(r.tokens.size()), chunk = std::min(r.chunk, given);
  const auto size = model.weights_size();
  const auto arena = std::make_unique_for_overwrite<std::byte[]>(size);
  model.pack({arena.get(), size});
  std::vector<float> slot(static_cast<std::size_t>(model.state_size())), last(static_cast<std::size_t>(V));
  std::vector<float> rows(file ? static_cast<std::size_t>(chunk * V) : 0);
  std::vector<std::byte> scratch(model.workspace_size(dense{1, chunk}));
  thread_executor exec(r.threads);
  const auto forward = [&](const std::int32_t* tokens, index_t count, const language_model_outputs<float>& out) {
    model.forward(exec, dense{1, count}, view<const std::int32_t, 2>(tokens, {1, count}), out,
                  carried<float, 2>::in_place(as_view(slot, {1, model.state_size()})), std::span(scratch));
  };

  progress prompt("prompt", given, true);
  for (index_t t = 0; t < given; t += chunk) {
    const index_t count = std::min(chunk, given - t);
    language_model_outputs<float> out;
    if (file) out.logits = view<float, 3>(rows.data(), {1, count, V});
    if (t + count == given) out.last = as_view(last, {1, V});
    forward(r.tokens.data() + t, count, out);
    if (file) file->write(std::span<const float>(rows).first(static_cast<std::size_t>(count * V)));
    prompt.at(t + count);
  }
  if (file) file->commit();
  prompt.finish();

  sampler choose(V, r.sampling);
  progress generation("generation", r.n, !is_terminal(stdout));
  stop_strings stop(r.chat ? std::vector<std::string>{std::string(chat_stop)} : std::vector<std::string>{});
  utf8_stream text;
  for (index_t i = 0; i < r.n && !stop.stopped(); ++i) {
    const std::int32_t token = choose.sample(last);
    if (tokenizer.has_end_of_document() && token == world_tokenizer::end_of_document) break;
    if (tokenizer)
      print(text.push(stop.push(tokenizer.decode(token))));
    else
      print(std::to_string(token) + (i + 1 < r.n ? "," : "\n"));
    if (i + 1 < r.n && !stop.stopped()) forward(&token, 1, {.last = as_view(last, {1, V})});
    generation.at(i + 1);
  }
  print(text.push(stop.finish()));
  print(text.finish());
  if (r.n > 0 && tokenizer && is_terminal(stdout)) print("\n");
  generation.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("generate", usage, argc, argv,
                               [](const auto& arguments) { run(read_request(arguments)); });
}
