// SPDX-License-Identifier: MIT
// Continues a text with a language model from a .safetensors file.
//
// Exit status: 0, 2 for a command line or a model that cannot be used, 1 for everything else.
#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <rwkv7/exec/threads.hpp>
#include <rwkv7/model.hpp>
#include <thread>

#include "support/options.hpp"
#include "support/whole_file.hpp"

using namespace rwkv7;
using examples::bad_input;

namespace {

constexpr char usage[] =
    "generate --model FILE (--prompt TEXT | --tokens 34,105,110) [options]\n"
    "\n"
    "  --model FILE       .safetensors with the tensor names of RWKV-LM\n"
    "  --prompt TEXT      the text to continue; models with one token per byte only\n"
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
    "Generated text goes to the standard output, or token numbers if the model's tokens are not bytes.\n";

struct request {
  std::string model, prompt;
  std::vector<std::int32_t> tokens;
  std::string logits_out;
  index_t n, chunk;
  int threads;
  sampler_settings sampling;
};

request read_request(const std::vector<std::string>& arguments) {
  const examples::options given(arguments, {"--model", "--prompt", "--tokens", "-n", "--temp", "--top-p", "--top-k",
                                            "--seed", "--threads", "--chunk", "--logits-out"});
  if (!given.has("--model")) throw bad_input("--model is missing; see --help");
  if (given.has("--prompt") == given.has("--tokens")) throw bad_input("give either --prompt or --tokens; see --help");
  constexpr index_t most = std::numeric_limits<index_t>::max();
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const request r{.model = given.text("--model"),
                  .prompt = given.text("--prompt"),
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

bool is_terminal([[maybe_unused]] std::FILE* stream) {
#if __has_include(<unistd.h>)
  return isatty(fileno(stream)) == 1;
#else
  return false;
#endif
}

// How far a phase of the work is, while it runs and a terminal shows the standard error; then how fast it was.
class progress {
 public:
  progress(const char* phase, index_t all, bool shown)
      : phase_(phase), all_(all), shown_(shown && is_terminal(stderr)) {}

  void at(index_t done) {
    const auto now = clock::now();
    if (!shown_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    std::fprintf(stderr, "\r%s: %lld of %lld tokens", phase_, static_cast<long long>(done),
                 static_cast<long long>(all_));
  }
  void finish() const {
    const double seconds = std::chrono::duration<double>(clock::now() - start_).count();
    std::fprintf(stderr, "%s%s: %lld tokens, %.1f tokens/s\n", shown_ ? "\r\033[K" : "", phase_,
                 static_cast<long long>(all_), static_cast<double>(all_) / seconds);
  }

 private:
  using clock = std::chrono::steady_clock;
  const char* phase_;
  index_t all_;
  bool shown_;
  clock::time_point start_ = clock::now(), last_ = start_;
};

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw std::runtime_error("the standard output cannot be written");
}

void run(request r) {
  auto model = language_model<>::open(r.model);
  const index_t V = model.sizes().V;
  const bool bytes = V == byte_tokenizer::size();
  if (!r.prompt.empty() && !bytes)
    throw bad_input("--prompt needs a model of 256 tokens, one per byte; this one has " + std::to_string(V) +
                    ": give --tokens");
  if (!r.prompt.empty()) r.tokens = byte_tokenizer::encode(r.prompt);
  for (const std::int32_t token : r.tokens)
    if (token >= V) throw bad_input("--tokens: got " + std::to_string(token) + ", want less than " + std::to_string(V));
  std::error_code failure;
  if (std::filesystem::equivalent(r.model, r.logits_out, failure)) throw bad_input("--logits-out is the model itself");
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
  for (index_t i = 0; i < r.n; ++i) {
    const std::int32_t token = choose.sample(last);
    print(bytes ? std::string(byte_tokenizer::decode(token)) : std::to_string(token) + (i + 1 < r.n ? "," : "\n"));
    if (i + 1 < r.n) forward(&token, 1, {.last = as_view(last, {1, V})});
    generation.at(i + 1);
  }
  if (r.n > 0 && bytes && is_terminal(stdout)) print("\n");
  generation.finish();
}

int fail(int status, std::string line) {
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  std::fprintf(stderr, "generate: %s\n", line.c_str());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + (argc > 0), argv + argc);
    if (arguments == std::vector<std::string>{"--help"})
      print(usage);
    else
      run(read_request(arguments));
    return 0;
  } catch (const bad_input& e) {
    return fail(2, e.what());
  } catch (const rwkv7::error& e) {
    return fail(2, e.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory");
  } catch (const std::exception& e) {
    return fail(1, e.what());
  }
}
