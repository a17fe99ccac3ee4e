// SPDX-License-Identifier: MIT
// What convert writes and refuses, and that what it does not finish leaves no trace.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <regex>

#include "rwkv7/model/checkpoint.hpp"
#include "rwkv7/model/safetensors_writer.hpp"
#include "support/program.hpp"
#include "support/tiny_checkpoint.hpp"
#include "support/vocabulary.hpp"

using namespace rwkv7_test;
using rwkv7::storage;

namespace {

using words = std::vector<std::string>;

/// A folder with in.safetensors: a model of one head of 64, its matrices in bf16.
struct place {
  temporary_folder folder{};
  std::string in = folder.file("in.safetensors");
  std::string content;

  place() {
    auto model = tiny_model({.V = 2, .C = 64, .layers = 2, .H = 1, .N = 64, .H_kv = 1, .F = 3}, storage::bf16);
    CHECK(!rwkv7::write_safetensors(in, model.file().tensors, {}, [](std::size_t) {}));
    content = content_of(in);
  }
  std::string file(const std::string& name) const { return folder.file(name); }
};

void check_converts(const std::string& in, const std::string& out) {
  CAPTURE(out);
  const auto run = run_example("convert", {in, out});
  CHECK(run.status == 0);
  CHECK(run.out == "");
  CHECK(run.err.starts_with("convert: "));
  CHECK(run.err.ends_with(" MB/s\n"));
}
/// convert fails with this status and one line, without output.
void check_fails(int status, const words& arguments, const std::string& line, const std::string& before = "") {
  CAPTURE(line);
  const auto run = run_example("convert", arguments, before);
  CHECK(run.status == status);
  CHECK(run.err == "convert: " + line + "\n");
  CHECK(run.out == "");
}

std::vector<std::byte> elements(const rwkv7::stored_tensor& tensor) {
  std::vector<std::byte> values(static_cast<std::size_t>(tensor.size()) * 4);
  unpack(tensor, values.data());
  return values;
}

}  // namespace

TEST_CASE("every format by its extension, a folder by its slash or by being there") {
  const place p;
  std::filesystem::create_directory(p.file("there"));
  const words outs{p.file("a.safetensors"), p.file("a.pth"), p.file("a.gguf"), p.file("new/hf/"), p.file("there")};
  const auto want = rwkv7::open_checkpoint(p.in);
  for (const auto& first : outs) {
    check_converts(p.in, first);
    for (const auto& second : outs) {
      if (second == first) continue;
      check_converts(first, second);
      const auto got = rwkv7::open_checkpoint(second);
      REQUIRE(got.tensors.size() == want.tensors.size());
      for (std::size_t i = 0; i < want.tensors.size(); ++i) {
        CHECK(got.tensors[i].name == want.tensors[i].name);
        if (got.tensors[i].type == want.tensors[i].type)
          CHECK(elements(got.tensors[i]) == elements(want.tensors[i]));
        else
          CHECK(want.tensors[i].name.ends_with("r_k"));  // in 32 bits once it was in GGUF
      }
    }
  }
  CHECK(content_of(p.in) == p.content);
  CHECK(p.folder.size() == 6);  // in, three files, two folders
}

TEST_CASE("--list shows every tensor by RWKV-LM's name, and what all of them are") {
  const place p;
  for (const std::string out : {"a.pth", "hf/"}) {
    check_converts(p.in, p.file(out));
    const auto run = run_example("convert", {"--list", p.file(out)});
    CHECK(run.status == 0);
    CHECK(run.err == "");
    for (const char* line : {"emb\\.weight +BF16 +2 64 +256", "blocks\\.1\\.att\\.w1 +BF16 +64 2 +256",
                             "blocks\\.1\\.att\\.x_r +F32 +1 1 64 +256"}) {
      CAPTURE(line);
      CHECK(std::regex_search(run.out, std::regex("(^|\n)" + std::string(line) + "\n")));
    }
    CHECK(run.out.ends_with(out == "hf/" ? " bytes, safetensors\n" : " bytes, pth\n"));
    CHECK(run.out.find("\n69 tensors, ") != run.out.npos);
  }
}

TEST_CASE("command lines that say too little, too much or nothing known") {
  const place p;
  const std::string want = "want IN OUT, or --list IN; see --help";
  check_fails(2, {}, want);
  check_fails(2, {p.in}, want);
  check_fails(2, {p.in, p.file("a.pth"), "more"}, "unexpected argument 'more'");
  check_fails(2, {"--list", p.in, "--vocab", p.in}, want);
  check_fails(2, {p.in, p.file("a.pth"), "--vocab", p.in}, "--vocab is for .gguf");
  check_fails(2, {"--list"}, want);
  CHECK(run_example("convert", {"--help"}).out.starts_with("convert IN OUT [--vocab FILE]\n"));
  for (const char* name : {"a.bin", "a", "a.PTH", ".pth"})
    check_fails(2, {p.in, p.file(name)}, "OUT: got '" + p.file(name) + "', want .safetensors, .pth, .gguf or a folder");
  check_fails(2, {p.in, ""}, "unexpected argument ''");
  CHECK(p.folder.size() == 1);
}

TEST_CASE("a vocabulary goes into .gguf, and changes nothing else there") {
  const place p;
  std::ofstream(p.file("vocabulary")) << vocabulary_text(single_bytes());
  CHECK(run_example("convert", {p.in, p.file("with.gguf"), "--vocab", p.file("vocabulary")}).status == 0);
  CHECK(run_example("convert", {p.in, p.file("without.gguf")}).status == 0);
  const auto with = rwkv7::open_gguf(p.file("with.gguf")), without = rwkv7::open_gguf(p.file("without.gguf"));
  CHECK(with.metadata.at("tokenizer.ggml.model") == "rwkv");
  CHECK(without.metadata.at("tokenizer.ggml.model") == "none");
  REQUIRE(with.tensors.size() == without.tensors.size());
  for (std::size_t i = 0; i < with.tensors.size(); ++i)
    CHECK(std::equal(with.tensors[i].bytes.begin(), with.tensors[i].bytes.end(), without.tensors[i].bytes.begin(),
                     without.tensors[i].bytes.end()));
  check_fails(2, {p.in, p.file("a.gguf"), "--vocab", "no such file"}, "rwkv7::file: no such file: does not exist");
  CHECK(!std::filesystem::exists(p.file("a.gguf")));
}

TEST_CASE("files that are no checkpoint") {
  const place p;
  check_fails(2, {"--list", "no such file"}, "rwkv7::file: no such file: does not exist");
  check_fails(2, {"no such file", p.file("a.pth")}, "rwkv7::file: no such file: does not exist");
  check_fails(2, {"no such\nfile", p.file("a.pth")}, "rwkv7::file: no such?file: does not exist");
  auto pair = tiny_pair();
  CHECK(!rwkv7::write_safetensors(p.file("pair"), pair.file().tensors, {}, [](std::size_t) {}));
  check_fails(2, {p.file("pair"), p.file("a.pth")},
              "rwkv7::language_model: " + rwkv7::detail::shown(std::filesystem::path(p.file("pair"))) +
                  ": blocks.0.ln1.weight: is missing");
  CHECK(run_example("convert", {"--list", p.file("pair")}).status == 0);
  CHECK(!std::filesystem::exists(p.file("a.pth")));
}

TEST_CASE("IN is never replaced, not even a part of it") {
  const place p;
  const std::string line = "OUT would replace IN";
  check_fails(2, {p.in, p.in}, line);
  check_fails(
      2,
      {p.in, p.file("../") + std::filesystem::path(p.file("")).parent_path().filename().string() + "/in.safetensors"},
      line);
  std::filesystem::create_symlink(p.in, p.file("link.safetensors"));
  check_fails(2, {p.in, p.file("link.safetensors")}, line);
  check_converts(p.in, p.file("hf/"));
  check_fails(2, {p.file("hf"), p.file("hf/model.safetensors")}, line);
  check_fails(2, {p.file("hf/model.safetensors"), p.file("hf")}, line);
  check_fails(2, {p.file("hf/model.safetensors"), p.file("hf/")}, line);
  check_converts(p.file("hf"), p.file("hf/model.gguf"));
  CHECK(content_of(p.in) == p.content);
}

TEST_CASE("what cannot be written leaves nothing, and what was there") {
  const place p;
  std::filesystem::create_directory(p.file("hf"));
  for (const std::string name : {"a.pth", "a.gguf", "a.safetensors", "hf/model.safetensors"}) {
    std::ofstream(p.file(name)) << "before";
    const auto out = name.starts_with("hf") ? p.file("hf") : p.file(name);
    const auto shown = rwkv7::detail::shown(std::filesystem::path(p.file(name)));
    check_fails(1, {p.in, out}, "rwkv7::file: " + shown + ": cannot be written", "trap '' XFSZ; ulimit -f 20;");
    CHECK(content_of(p.file(name)) == "before");
  }
  CHECK(p.folder.size() == 5);
  CHECK(std::distance(std::filesystem::directory_iterator(p.file("hf")), {}) == 1);
  const auto nowhere = p.file("no/a.pth");
  check_fails(1, {p.in, nowhere},
              "rwkv7::file: " + rwkv7::detail::shown(std::filesystem::path(nowhere)) + ": cannot be written");
  CHECK(content_of(p.in) == p.content);
}
