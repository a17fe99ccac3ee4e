// SPDX-License-Identifier: MIT
// Continues a text with a language model from a checkpoint.
//
// Exit status: 0, 2 for a command line or a model that cannot be used, 1 for everything else.
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <rwkv7/exec/dispatch.hpp>
#include <rwkv7/exec/spin.hpp>
#include <rwkv7/model.hpp>
#include <thread>
#include <utility>

#include "support/any_model.hpp"
#include "support/any_tokenizer.hpp"
#include "support/batch.hpp"
#include "support/options.hpp"
#include "support/progress.hpp"
#include "support/run_program.hpp"
#include "support/whole_file.hpp"

using namespace rwkv7;
using examples::any_model;
using examples::any_tokenizer;
using examples::bad_input;
using examples::is_terminal;
using examples::print;
using examples::progress;

namespace {

constexpr char usage[] =
    "generate --model FILE (--prompt TEXT | --tokens 34,105,110 | --batch FILE | --batch-tokens FILE) [options]\n"
    "\n"
    "  --model FILE       .safetensors, .pth, .gguf, or a folder of HF; of x070, or of a linearised Transformer\n"
    "  --vocab FILE       the vocabulary of a World model; without it a model of 256 tokens has one per byte\n"
    "  --prompt TEXT      the text to continue\n"
    "  --chat             the prompt is what a user asks, and the text its answer\n"
    "  --tokens LIST      the tokens to continue\n"
    "  --batch FILE       a text to continue on every line, all at once; the output has as many lines, with \\\\, \\n\n"
    "                     and \\r for backslash and line ends\n"
    "  --batch-tokens FILE\n"
    "                     the same with tokens to continue on every line\n"
    "  --slots N          how many lines of a batch run at a time; 8\n"
    "  -n N               how many tokens to generate; 64\n"
    "  --temp X           temperature; without it, or at 0, the most probable token is taken\n"
    "  --top-p X          draw from the most probable tokens that reach X together; 1\n"
    "  --top-k N          draw from the N most probable tokens; 0 for all\n"
    "  --seed N           of the draw; 0\n"
    "  --threads N        as many as the machine has\n"
    "  --cpu NAME         kernels: baseline, avx2, avx512 or avx512vnni; the best that this machine can use\n"
    "  --chunk N          tokens of the prompt per call; 128\n"
    "  --state-in FILE    begin from the state in this file: of --state-out, or a tuned one (.pth)\n"
    "  --state-out FILE   keep the state after the last token, for another --state-in\n"
    "  --logits-out FILE  the logits after every given token: [tokens, vocabulary] float32, little-endian\n"
    "\n"
    "What the tensors of a linearised Transformer do not tell, where the config.json beside it does not say so:\n"
    "  --config FILE      another config.json\n"
    "  --variant NAME     cxa073 to cxa079, hxa078 to hxa07c, arwkv, rad_rwkv7\n"
    "  --gate FORM        of a cxa076 or an ARWKV: sigmoid or one_plus_sigmoid\n"
    "  --norm-eps X       of its RMS norms\n"
    "  --rope-theta X     of its rotation\n"
    "  --context N        tokens that its attention layers keep; 4096\n"
    "\n"
    "Generated text goes to the standard output, or token numbers where tokens are not bytes and there is no --vocab.\n"
    "With --vocab, token 0 ends the text.\n";

struct request {
  std::shared_ptr<any_model> model;
  std::string path, vocabulary, prompt;
  bool chat;
  std::vector<std::int32_t> tokens;
  std::string logits_out, state_in, state_out, batch, batch_tokens, cpu;
  index_t n, chunk, slots;
  int threads;
  sampler_settings sampling;
};

request read_request(const std::vector<std::string>& arguments) {
  const examples::options given(arguments,
                                {"--model",   "--vocab",   "--prompt", "--tokens",   "--batch",      "--batch-tokens",
                                 "--slots",   "-n",        "--temp",   "--top-p",    "--top-k",      "--seed",
                                 "--threads", "--cpu",     "--chunk",  "--state-in", "--state-out",  "--logits-out",
                                 "--config",  "--variant", "--gate",   "--norm-eps", "--rope-theta", "--context"},
                                {"--chat"});
  if (!given.has("--model")) throw bad_input("--model is missing; see --help");
  const bool batch = given.has("--batch") || given.has("--batch-tokens");
  if (given.has("--prompt") + given.has("--tokens") + given.has("--batch") + given.has("--batch-tokens") != 1)
    throw bad_input("give one of --prompt, --tokens, --batch and --batch-tokens; see --help");
  if (given.has("--chat") && !given.has("--prompt")) throw bad_input("--chat needs --prompt; see --help");
  if (batch && (given.has("--logits-out") || given.has("--state-out")))
    throw bad_input("--logits-out and --state-out are for a single text");
  if (!batch && given.has("--slots")) throw bad_input("--slots is for a --batch");
  constexpr index_t most = std::numeric_limits<index_t>::max();
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  request r{.model = nullptr,
            .path = given.text("--model"),
            .vocabulary = given.text("--vocab"),
            .prompt = given.text("--prompt"),
            .chat = given.has("--chat"),
            .tokens = given.list("--tokens"),
            .logits_out = given.text("--logits-out"),
            .state_in = given.text("--state-in"),
            .state_out = given.text("--state-out"),
            .batch = given.text("--batch"),
            .batch_tokens = given.text("--batch-tokens"),
            .cpu = given.text("--cpu"),
            .n = given.whole<index_t>("-n", 64, 0, most),
            .chunk = given.whole<index_t>("--chunk", 128, 1, most),
            .slots = given.whole<index_t>("--slots", 8, 1, 1024),
            .threads = given.whole<int>("--threads", processors, 1, 1024),
            .sampling = {.temperature = given.real("--temp", 0),
                         .top_p = given.real("--top-p", 1),
                         .top_k = given.whole<index_t>("--top-k", 0, 0, most),
                         .seed = given.whole<std::uint64_t>("--seed", 0, 0, ~std::uint64_t{0})}};
  if (const auto problem = validate_sampler(r.sampling)) throw bad_input(problem.message());
  if (r.sampling.temperature == 0 && (given.has("--top-p") || given.has("--top-k") || given.has("--seed")))
    std::fputs("generate: greedy without --temp: --top-p, --top-k and --seed change nothing\n", stderr);
  r.model = any_model::open(r.path, given);
  return r;
}

// The token after which nothing follows, where there is one.
std::optional<std::int32_t> end_of(const any_tokenizer& tokenizer) {
  if (!tokenizer.has_end_of_document()) return {};
  return world_tokenizer::end_of_document;
}

// Reads the one state of a file, and says how many tokens it has seen: none where it was tuned.
std::uint64_t read_state(const std::string& path, const any_model& model, const view<float, 1>& state) {
  std::string start(4, '\0');
  std::ifstream(path, std::ios::binary).read(start.data(), 4);
  if (start == "PK\3\4") {
    model.load_tuned(path, state);
    return 0;
  }
  const auto file = state_file::open(path);
  if (file.slots() != 1)
    throw bad_input(path + ": holds " + std::to_string(file.slots()) + " states, want one to begin from");
  return *file.read(model.state_format(), 0, state);
}

void write_state(const std::string& path, const any_model& model, const view<float, 1>& state, std::uint64_t position) {
  try {
    save_states(path, model.state_format(), view<float, 2>(state.data(), {1, state.extent(0)}), {&position, 1});
  } catch (const rwkv7::error&) {  // nobody's bad input
    throw std::runtime_error(path + " cannot be written");
  }
}

// The prompts of a batch; none without one.
std::vector<examples::token_list> read_batch(const request& r, const any_tokenizer& tokenizer, index_t V) {
  std::vector<examples::token_list> prompts;
  const auto& path = r.batch.empty() ? r.batch_tokens : r.batch;
  if (path.empty()) return prompts;
  for (const auto& line : examples::lines_of(path)) {
    const auto where = path + ": line " + std::to_string(prompts.size() + 1);
    prompts.push_back(r.batch.empty() ? examples::options::numbers(where, line) : tokenizer.encode("--batch", line));
    for (const std::int32_t token : prompts.back())
      if (token >= V)
        throw bad_input(where + ": got " + std::to_string(token) + ", want less than " + std::to_string(V));
  }
  return prompts;
}

// Continues every line, each on a line of its own.
void run_batch(const request& r, const any_model& model, examples::program_executor& exec,
               const std::vector<examples::token_list>& prompts, const any_tokenizer& tokenizer,
               const view<const float, 1>& state) {
  index_t all = 0, done = 0;
  for (const auto& prompt : prompts) all += static_cast<index_t>(prompt.size()) + r.n;
  progress batch("batch", all, !is_terminal(stdout));
  examples::continue_all(model, exec, prompts, {r.n, r.chunk, r.slots, end_of(tokenizer), r.sampling}, state,
                         [&, next = prompts.begin()](const examples::token_list& tokens) mutable {
                           std::string line;
                           for (const std::int32_t token : tokens)
                             line += !r.batch.empty() ? std::string(tokenizer.decode(token))
                                                      : (line.empty() ? "" : ",") + std::to_string(token);
                           print(examples::escaped(line) + "\n");
                           done += static_cast<index_t>((next++)->size() + tokens.size());
                           batch.at(done);
                         });
  batch.finish();
}

void run(request r) {
  any_model& model = *r.model;
  const index_t V = model.sizes().V;
  const any_tokenizer tokenizer(r.vocabulary, V);
  if (r.chat) r.prompt = chat_prompt({{chat_role::user, r.prompt}});
  if (!r.prompt.empty()) r.tokens = tokenizer.encode("--prompt", r.prompt);
  for (const std::int32_t token : r.tokens)
    if (token >= V) throw bad_input("--tokens: got " + std::to_string(token) + ", want less than " + std::to_string(V));
  const auto prompts = read_batch(r, tokenizer, V);
  std::error_code failure;
  if (std::filesystem::equivalent(r.path, r.logits_out, failure)) throw bad_input("--logits-out is the model itself");
  if (std::filesystem::equivalent(r.vocabulary, r.logits_out, failure))
    throw bad_input("--logits-out is the vocabulary itself");
  if (std::filesystem::equivalent(r.path, r.state_out, failure)) throw bad_input("--state-out is the model itself");
  std::optional<examples::whole_file> file;
  if (!r.logits_out.empty()) file.emplace(r.logits_out);

  // Parameters, state and scratch memory: the program's, asked for once.
  const auto given = static_cast<index_t>(r.tokens.size()), chunk = std::min(r.chunk, given);
  const huge_page_memory arena(model.weights_size());
  model.pack(arena.bytes());
  std::vector<float> slot(static_cast<std::size_t>(model.state_size())), last(static_cast<std::size_t>(V));
  std::vector<float> rows(file ? static_cast<std::size_t>(chunk * V) : 0);
  std::vector<std::byte> scratch(model.workspace_size(dense{1, chunk}));
  examples::program_executor exec(spin_executor(r.threads), r.cpu);
  const view<float, 1> state(slot.data(), {model.state_size()});
  const std::uint64_t position = r.state_in.empty() ? 0 : read_state(r.state_in, model, state);
  if (!prompts.empty()) return run_batch(r, model, exec, prompts, tokenizer, state);
  const auto forward = [&](const std::int32_t* tokens, index_t count, const language_model_outputs<float>& out) {
    model.forward(exec, dense{1, count}, view<const std::int32_t, 2>(tokens, {1, count}), out,
                  carried<float, 2>::in_place(as_view(slot, {1, model.state_size()})), std::span(scratch));
  };

  progress prompt("prompt", given, true);
  language_model_outputs<float> out{.last = as_view(last, {1, V})};
  if (file) out.logits = as_view(rows, {1, chunk, V});
  model.prefill(exec, as_view(std::as_const(r.tokens), {1, given}), chunk, out, as_view(slot, {1, state.extent(0)}),
                std::span(scratch), [&, before = index_t{0}](index_t fed) mutable {
                  if (file)
                    file->write(std::span<const float>(rows).first(static_cast<std::size_t>((fed - before) * V)));
                  prompt.at(before = fed);
                });
  if (file) file->commit();
  prompt.finish();

  sampler choose(V, r.sampling);
  progress generation("generation", r.n, !is_terminal(stdout));
  stop_strings stop(r.chat ? std::vector<std::string>{std::string(chat_stop)} : std::vector<std::string>{});
  utf8_stream text;
  index_t fed = given;
  for (index_t i = 0; i < r.n && !stop.stopped(); ++i) {
    const std::int32_t token = choose.sample(last);
    if (token == end_of(tokenizer)) break;
    if (tokenizer)
      print(text.push(stop.push(tokenizer.decode(token))));
    else
      print(std::to_string(token) + (i + 1 < r.n ? "," : "\n"));
    const bool last_one = i + 1 == r.n || stop.stopped();
    if (!last_one) forward(&token, 1, {.last = as_view(last, {1, V})});
    if (last_one && !r.state_out.empty()) forward(&token, 1, {});  // so that another text can follow
    ++fed;
    generation.at(i + 1);
  }
  print(text.push(stop.finish()));
  print(text.finish());
  if (r.n > 0 && tokenizer && is_terminal(stdout)) print("\n");
  generation.finish();
  if (!r.state_out.empty()) write_state(r.state_out, model, state, position + static_cast<std::uint64_t>(fed));
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("generate", usage, argc, argv,
                               [](const auto& arguments) { run(read_request(arguments)); });
}
