// SPDX-License-Identifier: MIT
// Makes a linearised RWKV-7 model, not yet trained, of a Transformer's checkpoint, and says what became of its parts.
//
// Exit status: 0, 2 for a command line or a file that cannot be used, 1 for everything else.
#include <cstdio>
#include <rwkv7/model/convert_teacher.hpp>
#include <rwkv7/model/safetensors_writer.hpp>
#include <stdexcept>

#include "support/options.hpp"
#include "support/progress.hpp"
#include "support/run_program.hpp"
#include "support/whole_file.hpp"

using namespace rwkv7;
using examples::bad_input;

namespace {

constexpr char usage[] =
    "convert_teacher TEACHER OUT --target cxa076|cxa079\n"
    "convert_teacher TEACHER OUT --target hxa079 --attention-layers 5,11\n"
    "\n"
    "  TEACHER  a folder of HF with config.json: Llama, Mistral, Qwen2, Qwen3, Phi-3 or Seed-OSS; or its .safetensors\n"
    "  OUT      a folder: model.safetensors and config.json go there. No tokenizer is copied.\n"
    "  --target cxa076  time-mix without rope; cxa076r where the teacher norms queries and keys\n"
    "           cxa079  time-mix with rope\n"
    "           hxa079  the same, beside layers that stay attention\n"
    "  --attention-layers LIST\n"
    "           which ones, from 0\n"
    "  --seed N for the low-rank maps (0)\n"
    "  --multipliers R,K,V,O\n"
    "           of the teacher's projections in time-mix, instead of the published ones\n"
    "  --recipe original|latest\n"
    "           whose ranks and multipliers cxa079 and hxa079 get: those of the time of the published models "
    "(original),\n"
    "           or RWKVInside's last ones\n"
    "\n"
    "The model has to be trained before it is of any use. Prints how much of it is the teacher's and how much was "
    "made,\n"
    "and what of the teacher was dropped.\n";

linearised target_of(const std::string& name) {
  if (name == "cxa076") return linearised::all_076;
  if (name == "cxa079") return linearised::all_079;
  if (name == "hxa079") return linearised::hybrid_079;
  throw bad_input("--target: got '" + name + "', want cxa076, cxa079 or hxa079");
}

recipe recipe_of(const std::string& name) {
  if (name == "original" || name.empty()) return recipe::original;
  if (name == "latest") return recipe::latest;
  throw bad_input("--recipe: got '" + name + "', want original or latest");
}

projection_multipliers multipliers_of(const std::string& text) {
  float m[4] = {};
  char end = 0;
  if (std::sscanf(text.c_str(), "%f,%f,%f,%f%c", &m[0], &m[1], &m[2], &m[3], &end) != 4)
    throw bad_input("--multipliers: got '" + text + "', want four numbers like 1,1,0.3,0.5");
  return {m[0], m[1], m[2], m[3]};
}

teacher_conversion conversion_of(const examples::options& given) {
  teacher_conversion how{.target = target_of(given.text("--target")), .published = recipe_of(given.text("--recipe"))};
  for (const auto layer : given.list("--attention-layers")) how.attention_layers.push_back(layer);
  how.seed = given.whole<std::uint64_t>("--seed", 0, 0, UINT64_MAX);
  if (given.has("--multipliers")) how.multipliers = multipliers_of(given.text("--multipliers"));
  return how;
}

/// One line for each kind of tensor, then what is left to say.
void print_report(const converted_teacher& made) {
  const auto& [r, k, v, o] = made.multipliers;
  const auto& ranks = made.ranks;
  std::string attention;
  for (const auto& layer : made.config["transformer_layers"]) attention += " " + layer.dump();
  std::printf("%s: %s layers, attention in%s\n", made.architecture.c_str(),
              made.config["num_hidden_layers"].dump().c_str(), attention.empty() ? " none" : attention.c_str());
  std::printf("ranks: w %lld, a %lld, v %lld, k %lld, g %lld\n", static_cast<long long>(ranks.w),
              static_cast<long long>(ranks.a), static_cast<long long>(ranks.v), static_cast<long long>(ranks.k),
              static_cast<long long>(ranks.g));
  std::printf("multipliers: r %g, k %g, v %g, o %g\n", static_cast<double>(r), static_cast<double>(k),
              static_cast<double>(v), static_cast<double>(o));
  std::size_t count[4] = {}, bytes[4] = {};
  for (std::size_t i = 0; i < made.origins.size(); ++i) {
    const auto kind = static_cast<std::size_t>(made.origins[i]);
    count[kind] += 1;
    bytes[kind] += made.model.tensors[i].bytes.size();
  }
  for (const auto& tensor : made.dropped) count[3] += 1, bytes[3] += tensor.bytes.size();
  constexpr const char* kinds[] = {"inherited", "multiplied", "made", "dropped"};
  for (std::size_t kind = 0; kind < 4; ++kind)
    std::printf("%-10s  %6zu tensors  %14zu bytes\n", kinds[kind], count[kind], bytes[kind]);
  for (const auto& tensor : made.dropped) std::printf("dropped: %s\n", detail::shown(tensor.name, 120).c_str());
  for (const auto& setting : made.settings) std::printf("dropped: %s of config.json\n", setting.c_str());
}

/// Whether files of OUT would replace some of TEACHER.
bool replaces(const std::filesystem::path& out, const std::filesystem::path& teacher) {
  std::error_code failure;
  const auto folder =
      std::filesystem::is_directory(teacher, failure) ? teacher : std::filesystem::absolute(teacher).parent_path();
  return std::filesystem::equivalent(out, folder, failure) && !failure;
}

void convert(const std::filesystem::path& in, const std::filesystem::path& out, const teacher_conversion& how) {
  if (replaces(out, in)) throw bad_input("OUT would replace TEACHER");
  const auto teacher = open_transformer(in);
  const auto made = convert_teacher(teacher, how);
  std::size_t bytes = 0;
  for (const auto& tensor : made.model.tensors) bytes += tensor.bytes.size();
  constexpr std::size_t megabyte = 1'000'000;
  examples::progress shown("write", static_cast<long long>(bytes / megabyte), true, "MB");
  std::size_t done = 0;
  std::error_code ignored;
  std::filesystem::create_directories(out, ignored);
  const auto problem =
      write_safetensors(out / "model.safetensors", made.model.tensors, {{"format", "pt"}}, [&](std::size_t n) {
        done += n;
        shown.at(static_cast<long long>(done / megabyte));
      });
  if (problem) throw std::runtime_error(problem.message());
  const std::string text = made.config.dump(2) + "\n";
  examples::whole_file config(out / "config.json");
  config.write(std::span<const char>(text));
  config.commit();
  shown.finish();
  print_report(made);
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("convert_teacher", usage, argc, argv, [](const std::vector<std::string>& arguments) {
    const examples::options given(arguments, {"--target", "--attention-layers", "--seed", "--multipliers", "--recipe"},
                                  {}, 2);
    if (given.operands().size() != 2) throw bad_input("want TEACHER OUT; see --help");
    convert(given.operands()[0], given.operands()[1], conversion_of(given));
  });
}
