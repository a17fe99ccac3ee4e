// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// What a checkpoint is told by and what stands beside its tensors: magic numbers, HF's folder and its config.json,
// GGUF's metadata.
#include <doctest/doctest.h>

#include "rwkv7/model/checkpoint.hpp"
#include "support/gguf_builder.hpp"
#include "support/reported.hpp"
#include "support/safetensors_writer.hpp"
#include "support/temporary_folder.hpp"

using namespace rwkv7_test;
using rwkv7::open_checkpoint;

namespace {

const std::string good_config = R"({"model_type":"rwkv7","head_dim":64,"norm_eps":1e-5})";

/// A folder of files.
struct folder {
  temporary_folder place{};

  folder& with(const std::string& name, const std::string& content) {
    std::ofstream(place.file(name), std::ios::binary) << content;
    return *this;
  }
  folder& with(const std::string& name, const std::vector<file_tensor>& tensors) {
    return with(name, safetensors_bytes(tensors));
  }
  folder& config(const std::string& content) { return with("config.json", content); }
  std::string path() const { return place.file(""); }
  /// What is said about it, after its name; of the file `name` in it, or of all.
  std::string complaint(const std::string& name = "") const {
    const auto path = std::filesystem::path(place.file(name));
    const auto text = reported([&] { open_checkpoint(path); });
    const auto start = "rwkv7::checkpoint: " + rwkv7::detail::shown(path) + ": ";
    return text.starts_with(start) ? text.substr(start.size()) : text;
  }
};

const file_tensor emb = f32_tensor("model.embeddings.weight", {1, 2}, {1, 2});
const file_tensor head = f32_tensor("lm_head.weight", {1, 2}, {3, 4});

std::string index_of(const std::string& first, const std::string& second) {
  return R"({"metadata":{"total_size":16},"weight_map":{"model.embeddings.weight":")" + first +
         R"(","lm_head.weight":")" + second + "\"}}";
}
const std::string index_name = "model.safetensors.index.json";

}  // namespace

TEST_CASE("a format is told by its content, whatever the file is called") {
  const auto format = [](const std::string& content) {
    const temporary_file file(content);
    const auto text = reported([&] { open_checkpoint(file.path()); });
    return text.substr(0, text.find(':', 9));
  };
  CHECK(format("") == "rwkv7::safetensors");
  CHECK(format("GGUF") == "rwkv7::gguf");
  CHECK(format("PK\3\4") == "rwkv7::pth");
  CHECK(format("\x80\x02\x8a\x0a") == "rwkv7::pth");
  CHECK(format("\x80\x02}") == "rwkv7::safetensors");
  CHECK(reported([] { open_checkpoint("no such file"); }) == "rwkv7::file: no such file: does not exist");
  CHECK(reported([] { open_checkpoint(""); }) == "rwkv7::file: : does not exist");
}

TEST_CASE("a folder is a whole file, or the parts of an index") {
  folder whole, parts, both;
  whole.with("model.safetensors", {emb, head}).config(good_config);
  parts.with("a.safetensors", {emb})
      .with("b.safetensors", {head})
      .with(index_name, index_of("a.safetensors", "b.safetensors"));
  both.with("model.safetensors", {emb, head}).with(index_name, index_of("old-1.safetensors", "old-2.safetensors"));
  for (const auto* of : {&whole, &parts, &both}) {
    const auto file = open_checkpoint(of->path());
    CHECK(file);
    CHECK(file.files.size() == (of == &parts ? 2 : 1));
    CHECK(file.tensors.size() == 2);
    CHECK(file.tensors.at(0).name == "emb.weight");
    CHECK(file.tensors.at(1).name == "head.weight");
    float x = 0;
    std::memcpy(&x, file.tensors.at(1).bytes.data(), sizeof x);
    CHECK(x == 3.0f);
  }
  CHECK(folder().complaint().ends_with("model.safetensors: does not exist"));
}

TEST_CASE("indices that are none, and parts that are not there") {
  const auto of = [](const std::string& index) {
    return folder().with("a", {emb}).with("b", {head}).with(index_name, index).complaint();
  };
  CHECK(of(index_of("a", "b")) == "");
  CHECK(of("") == index_name + ": is not a JSON object");
  CHECK(of("[1]") == index_name + ": is not a JSON object");
  CHECK(of("{\"weight_map\":1") == index_name + ": is not a JSON object");
  CHECK(of(std::string(900'000, '[')) == index_name + ": is not a JSON object");
  CHECK(of(std::string(1'000'001, ' ')) == index_name + ": is too large");
  CHECK(of("{}") == index_name + ": has no weight_map");
  CHECK(of(R"({"weight_map":[]})") == index_name + ": has no weight_map");
  const auto stray = index_name + ": names a part that is no file beside it: ";
  for (const char* name : {"../evil", "/etc/passwd", "sub/b", "b/", ""}) CHECK(of(index_of("a", name)) == stray + name);
  CHECK(of(R"({"weight_map":{"x":1}})") == stray);
  CHECK(of(index_of("a", "..")).ends_with("..: is not a regular file"));
  CHECK(of(index_of("a", "c")).ends_with("/c: does not exist"));
  CHECK(of(index_of("a", "a")) == "lm_head.weight: is in none of the parts");
  CHECK(of(R"({"weight_map":{}})") == "");  // no tensors, for the model's reader to refuse
  const auto twice = folder().with("a", {emb}).with("b", {emb}).with(index_name, index_of("a", "b")).complaint();
  CHECK(twice.ends_with(": model.embeddings.weight: occurs twice"));
}

TEST_CASE("config.json must tell of the norms that this library has") {
  const auto of = [](const std::string& config) {
    folder place;
    place.with("model.safetensors", {emb}).config(config);
    const auto complaint = place.complaint();
    CHECK(place.complaint("model.safetensors") == complaint);  // also beside the file alone
    return complaint;
  };
  CHECK(of(good_config) == "");
  CHECK(of("{}") == "");
  CHECK(of(R"({"head_dim":null})") == "");
  CHECK(of(R"({"norm_eps":1e-6})") == "config.json: norm_eps: got 1e-06, want 1e-05");
  CHECK(of(R"({"norm_eps":0})") == "config.json: norm_eps: got 0, want 1e-05");
  CHECK(of(R"({"norm_eps":1e-5,"head_dim":128})") ==
        "config.json: head_dim: got 128, want 64, for a group norm of eps 64e-5");
  CHECK(of(R"({"model_type":"rwkv6"})") == "config.json: model_type: got \"rwkv6\", want \"rwkv7\"");
  CHECK(of(R"({"model_type":7})") == "config.json: model_type: got 7, want \"rwkv7\"");
  CHECK(of("{") == "config.json: is not a JSON object");
  CHECK(of(std::string(1'000'001, ' ')) == "config.json: is too large");
  // Where names are RWKV-LM's, it is none of ours.
  CHECK(folder().with("model.safetensors", {f32_tensor("emb.weight", {1, 2}, {1, 2})}).config("{").complaint() == "");
}

TEST_CASE("GGUF's metadata must tell of an rwkv7 with the norms that this library has") {
  const auto of = [](const std::vector<std::string>& entries) {
    const temporary_file file(gguf::file(entries, {gguf::tensor("token_embd.weight", {1}, 0, 0)}, "1234"));
    const auto text = reported([&] { open_checkpoint(file.path()); });
    const auto start = "rwkv7::checkpoint: " + rwkv7::detail::shown(file.path()) + ": ";
    return text.starts_with(start) ? text.substr(start.size()) : text;
  };
  const auto rwkv7_entry = gguf::text_entry("general.architecture", "rwkv7");
  const std::string eps = "rwkv7.attention.layer_norm_epsilon";
  CHECK(of({rwkv7_entry}) == "");
  CHECK(of({rwkv7_entry, gguf::f32_entry(eps, 1e-5f)}) == "");
  CHECK(of({rwkv7_entry, gguf::f32_entry(eps, 1e-6f)}) == eps + ": got 1e-06, want 1e-05");
  CHECK(of({rwkv7_entry, gguf::text_entry(eps, "none")}) == eps + ": got 0, want 1e-05");
  CHECK(of({rwkv7_entry, gguf::f32_entry(eps, std::numeric_limits<float>::quiet_NaN())}).starts_with(eps + ": got "));
  CHECK(of({gguf::text_entry("general.architecture", "arwkv7")}) == "general.architecture: got arwkv7, want rwkv7");
  CHECK(of({gguf::text_entry("general.architecture", "llama")}) == "general.architecture: got llama, want rwkv7");
  CHECK(of({}) == "general.architecture: got , want rwkv7");
}
