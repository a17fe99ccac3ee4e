// SPDX-License-Identifier: MIT
// seeds FOLDER: writes what the fuzzers of the readers start from, a folder each.
#include <cstdio>

#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/state_file.hpp"
#include "support/tiny_checkpoint.hpp"

namespace {

std::filesystem::path folder;

void check(const rwkv7::diagnosis& problem) {
  if (!problem) return;
  std::fprintf(stderr, "%s\n", problem.message());
  std::exit(1);
}

/// The tensors in each format, in its folder, and all of them in that of checkpoint.
void write(const std::string& name, const std::vector<rwkv7::stored_tensor>& tensors) {
  const auto ignore = [](std::size_t) {};
  for (const char* target : {"safetensors", "checkpoint"})
    check(rwkv7::write_safetensors(folder / target / name, tensors, {{"format", "pt"}}, ignore));
  for (const char* target : {"pth", "checkpoint"})
    check(rwkv7::write_pth(folder / target / (name + ".pth"), tensors, ignore));
  const std::vector<rwkv7::gguf_entry> entries{{"general.architecture", "rwkv7"},
                                               {"rwkv7.wkv.head_size", std::uint32_t{2}},
                                               {"rwkv7.attention.layer_norm_epsilon", 1e-5f},
                                               {"tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"}},
                                               {"ids", std::vector<std::int32_t>{1, 2}}};
  for (const char* target : {"gguf", "checkpoint"})
    check(rwkv7::write_gguf(folder / target / (name + ".gguf"), tensors, entries, ignore));
}

/// Three states, of Transformers without a token, with few, and with more than rings hold; in float, and turned in
/// double.
void write_states(const std::string& name, const rwkv7::state_format& format) {
  const auto size = static_cast<rwkv7::index_t>(format.size());
  std::vector<float> states;
  for (rwkv7::index_t i = 0; i < 3 * size; ++i) states.push_back(static_cast<float>(i % 61));
  if (format.transformer())
    for (const rwkv7::index_t slot : {0, 1, 2})
      rwkv7::store_position(slot * slot * 2, &states[static_cast<std::size_t>(slot * size)]);
  const std::vector<double> wide(states.begin(), states.end());
  rwkv7::save_states(folder / "state_file" / name, format, rwkv7::view<const float, 2>(states.data(), {3, size}));
  rwkv7::save_states(folder / "state_file" / (name + "_turned"), format,
                     rwkv7::view<const double, 2>(wide.data(), {3, size}), {}, rwkv7::state_layout::key_value);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  folder = argv[1];
  for (const char* target : {"safetensors", "pth", "gguf", "checkpoint", "state_file"})
    std::filesystem::create_directories(folder / target);
  auto pair = rwkv7_test::tiny_pair(), model = rwkv7_test::tiny_model();
  write("pair", pair.file().tensors);
  for (const auto scheme : {rwkv7::naming::rwkv_lm, rwkv7::naming::hf, rwkv7::naming::gguf}) {
    const auto renamed = rwkv7::detail::from_rwkv_lm(model.file().tensors, scheme).result();
    write("model" + std::to_string(static_cast<int>(scheme)), renamed.tensors);
  }
  auto plain = rwkv7_test::tiny_model({.V = 2, .C = 64, .layers = 1, .H = 1, .N = 64, .H_kv = 1, .F = 64});
  rwkv7_test::tiny_tensors quantised;
  for (const auto& tensor : plain.file().tensors)
    quantised.add(tensor.name, rwkv7::is_quantisable(tensor.name) ? rwkv7::storage::nf4 : tensor.type, tensor.shape);
  write("quantised", quantised.file().tensors);
  write_states("rwkv_lm", {.layers = 2, .C = 3, .H = 2, .N = 2});
  rwkv7::state_format transformer{.layers = 3,
                                  .C = 3,
                                  .H = 2,
                                  .N = 2,
                                  .ffn_shift = false,
                                  .variant_bits = rwkv7::state_format::transformer_bit,
                                  .H_kv = 1};
  write_states("transformer", transformer);
  transformer.attention_layers = {0, 2}, transformer.context = 4, transformer.window = 3;
  write_states("attention", transformer);
  const auto code = rwkv7::detail::pickle_writer::of(pair.file().tensors);
  rwkv7::whole_file pickle(folder / "pth" / "data.pkl");
  pickle.write(std::as_bytes(std::span(code)));
  check(pickle.commit());
}
