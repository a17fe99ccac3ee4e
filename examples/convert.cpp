// SPDX-License-Identifier: MIT
// Rewrites an RWKV-7 checkpoint in another format, value for value, or lists what is in it.
//
// Exit status: 0, 2 for a command line or a file that cannot be used, 1 for everything else.
#include <cstdio>
#include <rwkv7/model/checkpoint.hpp>
#include <rwkv7/model/checkpoint_writer.hpp>
#include <rwkv7/model/gguf_vocabulary.hpp>
#include <stdexcept>

#include "support/options.hpp"
#include "support/progress.hpp"
#include "support/run_program.hpp"

using namespace rwkv7;
using examples::bad_input;

namespace {

constexpr char usage[] =
    "convert IN OUT [--vocab FILE]\n"
    "convert --list IN\n"
    "\n"
    "  IN     .safetensors with RWKV-LM's names or HF's, a folder of HF, .pth, or .gguf of rwkv7: told by its content\n"
    "  OUT    .safetensors or .pth (RWKV-LM's names), .gguf (for llama.cpp), or a folder: it ends in / or is there;\n"
    "         in it model.safetensors with HF's names, and config.json\n"
    "  --vocab FILE\n"
    "         a World vocabulary that goes into the .gguf, so that llama.cpp can be given text\n"
    "  --list a line for each tensor: name as in RWKV-LM, type, shape, bytes\n"
    "\n"
    "Values are exact. Types stay, but .gguf has vectors in 32 bits, and blocks of 4, 5 or 8 bits become 32 "
    "elsewhere.\n";

void list(const std::filesystem::path& path) {
  const auto file = open_checkpoint(path);
  std::size_t widest = 0, bytes = 0;
  index_t elements = 0;
  for (const auto& tensor : file.tensors) widest = std::max(widest, tensor.name.size());
  for (const auto& tensor : file.tensors) {
    std::string shape;
    for (const index_t extent : tensor.shape) shape += (shape.empty() ? "" : " ") + std::to_string(extent);
    std::printf("%-*s  %-8s  %-16s  %zu\n", static_cast<int>(widest), tensor.name.c_str(),
                std::string(traits_of(tensor.type).name).c_str(), shape.c_str(), tensor.bytes.size());
    elements += tensor.size();
    bytes += tensor.bytes.size();
  }
  std::printf("%zu tensors, %lld elements, %zu bytes, %s\n", file.tensors.size(), static_cast<long long>(elements),
              bytes, file.format.c_str());
}

checkpoint_format format_of(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto extension = path.extension();
  if (!path.empty() && (!path.has_filename() || std::filesystem::is_directory(path, ignored)))
    return checkpoint_format::hf;
  if (extension == ".safetensors") return checkpoint_format::safetensors;
  if (extension == ".pth") return checkpoint_format::pth;
  if (extension == ".gguf") return checkpoint_format::gguf;
  throw bad_input("OUT: got '" + path.string() + "', want .safetensors, .pth, .gguf or a folder");
}

/// Whether writing `out` would replace something that `in` is read from.
bool replaces(const std::filesystem::path& out, checkpoint_format format, const std::filesystem::path& in) {
  const auto same = [](const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code failure;
    return std::filesystem::equivalent(a, b, failure) && !failure;
  };
  const bool folder = format == checkpoint_format::hf;
  const auto file = std::filesystem::absolute(folder ? out / "model.safetensors" : out);
  // A file of tensors in IN may be one of its parts.
  return same(in, out) || same(in, file) ||
         (same(in, file.parent_path()) && same(file, file) && file.extension() == ".safetensors");
}

void convert(const std::filesystem::path& in, const std::filesystem::path& out, const std::string& vocabulary) {
  const auto format = format_of(out);
  if (!vocabulary.empty() && format != checkpoint_format::gguf) throw bad_input("--vocab is for .gguf");
  if (replaces(out, format, in)) throw bad_input("OUT would replace IN");
  const auto file = open_checkpoint(in);
  if (const auto problem = validate_checkpoint(file)) throw bad_input(problem.message());
  std::vector<gguf_entry> tokenizer;
  if (!vocabulary.empty())
    tokenizer = gguf_vocabulary(world_tokenizer::open(vocabulary), file.find("emb.weight")->shape[0]);
  std::size_t bytes = 0;
  for (const auto& tensor : file.tensors) bytes += tensor.bytes.size();
  constexpr std::size_t megabyte = 1'000'000;
  examples::progress shown("convert", static_cast<long long>(bytes / megabyte), true, "MB");
  std::size_t done = 0;
  const auto problem = write_checkpoint(out, file, format, tokenizer, [&](std::size_t n) {
    done += n;
    shown.at(static_cast<long long>(done / megabyte));
  });
  if (problem) throw std::runtime_error(problem.message());
  shown.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("convert", usage, argc, argv, [](const std::vector<std::string>& arguments) {
    const examples::options given(arguments, {"--vocab"}, {"--list"}, 2);
    const auto& operands = given.operands();
    if (operands.size() != (given.has("--list") ? 1 : 2) || (given.has("--list") && given.has("--vocab")))
      throw bad_input("want IN OUT, or --list IN; see --help");
    if (given.has("--list")) return list(operands[0]);
    convert(operands[0], operands[1], given.text("--vocab"));
  });
}
