// SPDX-License-Identifier: MIT
// Rewrites an RWKV-7 checkpoint with its large matrices in 16, 8 or 4 bits, and says what that costs.
//
// Exit status: 0, 2 for a command line or a file that cannot be used, 1 for everything else.
#include <cstdio>
#include <rwkv7/model/checkpoint.hpp>
#include <rwkv7/model/checkpoint_writer.hpp>
#include <rwkv7/model/hybrid_names.hpp>
#include <rwkv7/model/quantise.hpp>
#include <stdexcept>

#include "support/options.hpp"
#include "support/progress.hpp"
#include "support/run_program.hpp"

using namespace rwkv7;
using examples::bad_input;

namespace {

constexpr char usage[] =
    "quantise IN OUT.safetensors --type TYPE [--head TYPE]\n"
    "\n"
    "  IN     any checkpoint that convert reads, or a linearised Transformer\n"
    "  OUT    .safetensors with RWKV-LM's names, which this library's programs run\n"
    "  --type bf16       16 bits, the range of float\n"
    "         f16        16 bits, three more of precision\n"
    "         int8       8.5 bits per weight, a scale for every 32 neighbours\n"
    "         int8_rows  8 bits, a scale for every row\n"
    "         int4       4.5 bits, a scale for every 32 neighbours\n"
    "         nf4        4.25 bits, NormalFloat4 with a scale for every 64 neighbours\n"
    "  --head another one for the head\n"
    "\n"
    "Receptance, key, value, output, ffn.key, ffn.value and head are changed; everything else stays as it is. Prints "
    "a\n"
    "line for each: relative error (L2), largest error, largest weight, bytes before and after.\n";

dtype type_of(const std::string& option, const std::string& name) {
  for (const dtype type : {dtype::bf16, dtype::f16, dtype::int8, dtype::int8_rows, dtype::int4, dtype::nf4})
    if (name == name_of(type)) return type;
  throw bad_input(option + ": got '" + name + "', want bf16, f16, int8, int8_rows, int4 or nf4");
}

void quantise_file(const std::filesystem::path& in, const std::filesystem::path& out, dtype type, dtype head) {
  if (out.extension() != ".safetensors") throw bad_input("OUT: got '" + out.string() + "', want .safetensors");
  std::error_code ignored;
  if (std::filesystem::equivalent(in, out, ignored) && !ignored) throw bad_input("OUT would replace IN");
  auto file = open_checkpoint(in);
  if (const auto problem = is_hybrid(file) ? to_hybrid_names(file) : validate_checkpoint(file))
    throw bad_input(problem.message());
  std::size_t widest = 0, before = 0, after = 0, bytes = 0;
  for (const auto& tensor : file.tensors) {
    if (is_quantisable(tensor.name)) widest = std::max(widest, tensor.name.size()), bytes += tensor.bytes.size();
    before += tensor.bytes.size();
  }
  std::printf("%-*s  %-9s  %-7s  %9s  %9s  %11s  %11s\n", static_cast<int>(widest), "matrix", "format", "error",
              "worst", "largest", "before", "after");
  constexpr std::size_t megabyte = 1'000'000;
  examples::progress shown("quantise", static_cast<long long>(bytes / megabyte), true, "MB");
  std::size_t done = 0;
  const auto result = quantise(file, type, head, [&](const quantised_matrix& m) {
    std::printf("%-*s  %-9s  %.5f  %9.3g  %9.3g  %11zu  %11zu\n", static_cast<int>(widest), m.name.c_str(),
                name_of(m.type), m.relative_l2, m.worst, m.largest, m.before, m.after);
    done += m.before;
    shown.at(static_cast<long long>(done / megabyte));
  });
  shown.finish();
  const auto problem = write_safetensors(out, result.tensors, {}, [&](std::size_t n) { after += n; });
  if (problem) throw std::runtime_error(problem.message());
  std::printf("%zu tensors, %zu bytes before, %zu after\n", result.tensors.size(), before, after);
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("quantise", usage, argc, argv, [](const std::vector<std::string>& arguments) {
    const examples::options given(arguments, {"--type", "--head"}, {}, 2);
    if (given.operands().size() != 2) throw bad_input("want IN OUT.safetensors; see --help");
    const dtype type = type_of("--type", given.text("--type"));
    quantise_file(given.operands()[0], given.operands()[1], type,
                  given.has("--head") ? type_of("--head", given.text("--head")) : type);
  });
}
