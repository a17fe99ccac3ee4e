// SPDX-License-Identifier: MIT
// Whole models in every format: the same parameters and logits to the last bit, there and back.
#include <doctest/doctest.h>

#include <fstream>

#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/refused.hpp"
#include "support/temporary_folder.hpp"

using namespace rwkv7_test;
using rwkv7::checkpoint_format;
using rwkv7::storage;
using rwkv7::tensor_file;
using rwkv7::x070;

namespace {

using model = language_model<x070, float>;

const char* name_of(checkpoint_format format) {
  constexpr const char* names[] = {"model.safetensors", "hf", "model.pth", "model.gguf"};
  return names[static_cast<int>(format)];
}
constexpr checkpoint_format all_formats[] = {checkpoint_format::safetensors, checkpoint_format::hf,
                                             checkpoint_format::pth, checkpoint_format::gguf};

void write(const std::string& path, const tensor_file& file, checkpoint_format format) {
  std::size_t bytes = 0;
  const auto problem = write_checkpoint(path, file, format, {}, [&](std::size_t n) { bytes += n; });
  CHECK(std::string(problem.message()) == "");
  CHECK(bytes > 0);
}
std::string complaint(const std::string& path, const tensor_file& file, checkpoint_format format) {
  return write_checkpoint(path, file, format, {}, [](std::size_t) {}).message();
}

/// The logits of some tokens, from where the parameters lie.
std::vector<float> logits_of(const model& opened) {
  auto exec = one_thread();
  state_pool<float> state(opened, 1);
  return prefill(opened, exec, some_tokens("formats", 20, opened.sizes().V), 20, state);
}
/// After pack.
std::vector<float> logits(const std::string& path) {
  auto opened = model::open(path);
  const packed_parameters parameters(opened);
  return logits_of(opened);
}

/// Both hold the same parameters: names, shapes and values. Types too, but for GGUF's vectors.
void check_same(const tensor_file& got, const tensor_file& want, bool types) {
  REQUIRE(got.tensors.size() == want.tensors.size());
  for (std::size_t i = 0; i < want.tensors.size(); ++i) {
    const auto &a = got.tensors[i], &b = want.tensors[i];
    CAPTURE(b.name);
    CHECK(a.name == b.name);
    CHECK(a.size() == b.size());
    CHECK(a.shape.back() == b.shape.back());
    if (types) CHECK(a.type == b.type);
    CHECK(rwkv7::detail::widened(a) == rwkv7::detail::widened(b));
  }
}

/// h4n64 with matrices of another type, or all tensors.
enum class narrowed { none, f16_matrices, bf16_all };
std::string checkpoint(narrowed how) {
  auto tensors = golden_model("h4n64").checkpoint();
  for (auto& tensor : tensors) {
    if (how == narrowed::f16_matrices && tensor.shape.size() == 2) tensor = rounded<rwkv7::f16>(tensor, true);
    if (how == narrowed::bf16_all) tensor = rounded<rwkv7::bf16>(tensor, true);
  }
  return safetensors_bytes(tensors);
}

}  // namespace

TEST_CASE("every format gives every other, and the logits are the same to the last bit") {
  for (const auto how : {narrowed::none, narrowed::f16_matrices, narrowed::bf16_all}) {
    const temporary_folder folder;
    const temporary_file file(checkpoint(how));
    const auto original = rwkv7::open_checkpoint(file.path());
    const auto want = logits(file.path().string());
    for (const auto first : all_formats) {
      CAPTURE(name_of(first));
      const auto there = folder.file(name_of(first));
      write(there, original, first);
      check_same(rwkv7::open_checkpoint(there), original, first != checkpoint_format::gguf);
      CHECK(same_bits(logits(there), want));
      for (const auto second : all_formats) {
        if (how == narrowed::f16_matrices && second != checkpoint_format::gguf) continue;  // once is enough
        CAPTURE(name_of(second));
        const auto on = folder.file(std::string("2") + name_of(second));
        write(on, rwkv7::open_checkpoint(there), second);
        check_same(rwkv7::open_checkpoint(on), original, false);
      }
    }
  }
}

TEST_CASE("what kernels can read where it lies needs no pack: RWKV-LM's names in either format") {
  const temporary_folder folder;
  const temporary_file file(checkpoint(narrowed::bf16_all));
  const auto original = rwkv7::open_checkpoint(file.path());
  for (const auto format : {checkpoint_format::safetensors, checkpoint_format::pth}) {
    const auto path = folder.file(name_of(format));
    write(path, original, format);
    const auto in_place = logits_of(model::open(path));
    CHECK(same_bits(in_place, logits_of(model::open(file.path()))));
    CHECK(relative_l2(in_place, logits(path)) <= budget::split);
  }
  for (const auto format : {checkpoint_format::hf, checkpoint_format::gguf}) {
    const auto path = folder.file(name_of(format));
    write(path, original, format);
    const auto opened = model::open(path);
    auto exec = one_thread();
    state_pool<float> state(opened, 1);
    CHECK(complaint_of([&] { prefill(opened, exec, {1}, 1, state); }).ends_with(": call pack"));
  }
}

TEST_CASE("blocks of 4, 5 and 8 bits stay in GGUF and become f32 elsewhere") {
  // Matrices in blocks of whatever they hold, with scales that keep the sums small.
  const temporary_file file(checkpoint(narrowed::none));
  auto blocks = rwkv7::open_checkpoint(file.path());
  std::deque<std::vector<std::byte>> made;
  constexpr storage types[] = {storage::q4_0, storage::q5_0, storage::q5_1, storage::q8_0};
  std::size_t changed = 0;
  for (auto& tensor : blocks.tensors) {
    if (tensor.shape.size() != 2 || tensor.shape[1] % 32 != 0 || tensor.name.ends_with("r_k")) continue;
    tensor.type = types[changed++ % 4];
    auto& bytes = made.emplace_back(static_cast<std::size_t>(rwkv7::dense_bytes(tensor.type, tensor.shape).value()));
    const auto block = static_cast<std::size_t>(rwkv7::traits_of(tensor.type).bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>(
          i % block == 1 || (i % block == 3 && tensor.type == storage::q5_1) ? 0x18 : i * 2654435761 >> 13 & 0xff);
    tensor.bytes = bytes;
  }
  CHECK(changed > 20);
  const temporary_folder folder;
  const auto gguf = folder.file("model.gguf"), wide = folder.file("model.safetensors"),
             again = folder.file("again.gguf");
  write(gguf, blocks, checkpoint_format::gguf);
  const auto kept = rwkv7::open_checkpoint(gguf);
  check_same(kept, blocks, false);
  std::size_t in_blocks = 0;
  for (const auto& tensor : kept.tensors) in_blocks += rwkv7::traits_of(tensor.type).elements > 1;
  CHECK(in_blocks > 10);  // but not those that GGUF has transposed
  write(wide, kept, checkpoint_format::safetensors);
  write(again, rwkv7::open_checkpoint(wide), checkpoint_format::gguf);
  for (const auto& tensor : rwkv7::open_checkpoint(wide).tensors) CHECK(rwkv7::traits_of(tensor.type).elements == 1);
  const auto want = logits(gguf);
  CHECK(std::isfinite(want.back()));
  CHECK(same_bits(logits(wide), want));
  CHECK(same_bits(logits(again), want));
}

TEST_CASE("old HF files with stacked mixing vectors, in two parts with an index") {
  const temporary_folder folder;
  const temporary_file file(checkpoint(narrowed::none));
  const auto original = rwkv7::open_checkpoint(file.path());
  auto renamed = rwkv7::detail::from_rwkv_lm(original.tensors, rwkv7::naming::hf).result();
  std::map<std::string, std::vector<std::byte>> stacks;
  for (const char letter : std::string("rwkvag"))
    for (const auto& tensor : renamed.tensors)
      if (const auto at = tensor.name.find(std::string("attn.x_") + letter); at != tensor.name.npos) {
        auto& stack = stacks[tensor.name.substr(0, at) + "attn.x_x"];
        stack.insert(stack.end(), tensor.bytes.begin(), tensor.bytes.end());
      }
  std::erase_if(renamed.tensors, [](const auto& t) { return t.name.find("attn.x_") != t.name.npos; });
  for (const auto& [name, bytes] : stacks) {
    const std::vector<index_t> shape{6, static_cast<index_t>(bytes.size() / 24)};
    renamed.tensors.push_back({name, storage::f32, shape, rwkv7::dense_strides(shape), bytes});
  }
  nlohmann::json index;
  std::vector<rwkv7::stored_tensor> parts[2];
  for (std::size_t i = 0; i < renamed.tensors.size(); ++i) {
    parts[i % 2].push_back(renamed.tensors[i]);
    index["weight_map"][renamed.tensors[i].name] = i % 2 == 0 ? "one.safetensors" : "two.safetensors";
  }
  for (const int i : {0, 1})
    CHECK(!rwkv7::write_safetensors(folder.file(i == 0 ? "one.safetensors" : "two.safetensors"), parts[i], {},
                                    [](std::size_t) {}));
  std::ofstream(folder.file("model.safetensors.index.json")) << index;
  check_same(rwkv7::open_checkpoint(folder.file("")), original, true);
  CHECK(same_bits(logits(folder.file("")), logits(file.path().string())));
}

TEST_CASE("HF's config.json says what the model is") {
  const temporary_folder folder;
  const temporary_file file(checkpoint(narrowed::none));
  write(folder.file("hf"), rwkv7::open_checkpoint(file.path()), checkpoint_format::hf);
  const auto config = nlohmann::json::parse(content_of(folder.file("hf/config.json")));
  const golden_model golden("h4n64");
  CHECK(config["model_type"] == "rwkv7");
  CHECK(config["hidden_size"] == golden.size("C"));
  CHECK(config["num_hidden_layers"] == golden.size("layers"));
  CHECK(config["intermediate_size"] == golden.size("F"));
  CHECK(config["vocab_size"] == golden.size("V"));
  CHECK(config["head_dim"] == 64);
  CHECK(config["norm_eps"] == 1e-5);
  CHECK(config["norm_first"] == true);
  CHECK(config["tie_word_embeddings"] == false);
}

TEST_CASE("what is no x070 is named, whatever the format, and nothing is written") {
  const temporary_folder folder;
  const auto of = [&](const std::function<void(std::vector<file_tensor>&)>& change, const char* golden = "h4n64",
                      checkpoint_format format = checkpoint_format::gguf) {
    auto tensors = golden_model(golden).checkpoint();
    change(tensors);
    const temporary_file file(safetensors_bytes(tensors));
    const auto opened = rwkv7::open_checkpoint(file.path());
    const auto text = complaint(folder.file("x"), opened, format);
    CHECK(folder.size() == 0);
    return text.substr(text.find(": ", text.find(": ") + 2) + 2);
  };
  CHECK(of([](auto& all) { all.push_back(f32_tensor("blocks.0.ffn.s_emb.weight", {1}, {1})); }) ==
        "blocks.0.ffn.s_emb.weight: belongs to DeepEmbed: this is an RWKV-7a, not an x070");
  CHECK(of([](auto& all) { all.push_back(f32_tensor("blocks.0.qkv.qq.weight", {1}, {1})); }) ==
        "blocks.0.qkv.qq.weight: belongs to DEA: this is an RWKV-7b, not an x070");
  CHECK(of([](auto& all) { all.push_back(f32_tensor("optimizer", {1}, {1})); }) ==
        "optimizer: is not a tensor of this model");
  CHECK(of([](auto& all) { all.pop_back(); }).ends_with(": is missing"));
  CHECK(of([](auto& all) {
          for (auto& tensor : all)
            if (tensor.name == "ln_out.bias") tensor.dtype = "I32";
        }) == "ln_out.bias: dtype: got I32, want F32, F16 or BF16");
  CHECK(of([](auto&) {}, "n16", checkpoint_format::hf) ==
        "head size: got 16, want 64: HF's group norm has another eps elsewhere");
}

TEST_CASE("a model of another head size goes through every format but HF's") {
  const temporary_folder folder;
  const temporary_file file(safetensors_bytes(golden_model("n16").checkpoint()));
  const auto original = rwkv7::open_checkpoint(file.path());
  for (const auto format : {checkpoint_format::safetensors, checkpoint_format::pth, checkpoint_format::gguf}) {
    const auto path = folder.file(name_of(format));
    write(path, original, format);
    CHECK(same_bits(logits(path), logits(file.path().string())));
  }
}

TEST_CASE("where nothing can be written nothing is, and what cannot is named") {
  const temporary_folder folder;
  const temporary_file file(checkpoint(narrowed::none));
  const auto original = rwkv7::open_checkpoint(file.path());
  std::ofstream(folder.file("file")) << "before";
  for (const auto format : all_formats) {
    const auto path = folder.file("file/") + name_of(format);
    CHECK(complaint(path, original, format).starts_with("rwkv7::file: "));
  }
  for (const auto format : {checkpoint_format::safetensors, checkpoint_format::pth, checkpoint_format::gguf})
    CHECK(complaint("/dev/full", original, format) == "rwkv7::file: /dev/full: cannot be written");
  CHECK(folder.size() == 1);
  CHECK(content_of(folder.file("file")) == "before");
}
