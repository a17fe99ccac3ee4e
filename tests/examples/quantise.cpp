// SPDX-License-Identifier: MIT
// What quantise writes, prints and refuses, and that what it does not finish leaves no trace.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <regex>

#include "rwkv7/model/checkpoint.hpp"
#include "rwkv7/model/safetensors_writer.hpp"
#include "support/program.hpp"
#include "support/tiny_checkpoint.hpp"

using namespace rwkv7_test;
using rwkv7::dtype;
using rwkv7::storage;

namespace {

/// A folder with in.safetensors: a model of one head of 64, its matrices in bf16.
struct place {
  temporary_folder folder{};
  std::string in = folder.file("in.safetensors"), out = folder.file("out.safetensors"), content{};

  explicit place(rwkv7::index_t F = 64) {
    auto model = tiny_model({.V = 2, .C = 64, .layers = 2, .H = 1, .N = 64, .H_kv = 1, .F = F}, storage::bf16);
    CHECK(!rwkv7::write_safetensors(in, model.file().tensors, {}, [](std::size_t) {}));
    content = content_of(in);
  }
};

void check_fails(int status, const std::vector<std::string>& arguments, const std::string& line,
                 const std::string& before = "") {
  CAPTURE(line);
  const auto run = run_example("quantise", arguments, before);
  CHECK(run.status == status);
  CHECK(run.err.ends_with("quantise: " + line + "\n"));
}

}  // namespace

TEST_CASE("every type, with a line for each matrix and the sizes") {
  const place p;
  for (const auto type : {dtype::bf16, dtype::f16, dtype::int8, dtype::int8_rows, dtype::int4, dtype::nf4}) {
    const std::string name = name_of(type);
    CAPTURE(name);
    const auto run = run_example("quantise", {p.in, p.out, "--type", name, "--head", "int8"});
    CHECK(run.status == 0);
    CHECK(std::count(run.out.begin(), run.out.end(), '\n') == 1 + 2 * 6 + 1 + 1);
    CHECK(run.out.starts_with("matrix "));
    for (const std::string& line : {"blocks\\.1\\.ffn\\.value\\.weight +" + name, std::string("head\\.weight +int8")})
      CHECK(std::regex_search(run.out, std::regex("\n" + line + " +[0-9.]+ +[0-9.e-]+ +[0-9.e-]+ +[0-9]+ +[0-9]+\n")));
    CHECK(run.out.find("\n69 tensors, ") != run.out.npos);
    const auto file = rwkv7::open_checkpoint(p.out);
    CHECK(file.tensors.size() == 69);
    CHECK(file.find("head.weight")->type == storage::int8);
    CHECK(file.find("blocks.0.att.key.weight")->type == rwkv7::storage_of(type));
    CHECK(file.find("emb.weight")->type == storage::bf16);
  }
  CHECK(content_of(p.in) == p.content);
  CHECK(p.folder.size() == 2);
}

TEST_CASE("command lines and files that cannot be used") {
  const place p;
  const std::string types = "want bf16, f16, int8, int8_rows, int4 or nf4";
  check_fails(2, {}, "want IN OUT.safetensors; see --help");
  check_fails(2, {p.in, p.out}, "--type: got '', " + types);
  check_fails(2, {p.in, p.out, "--type", "q8"}, "--type: got 'q8', " + types);
  check_fails(2, {p.in, p.out, "--type", "int8", "--head", "f32"}, "--head: got 'f32', " + types);
  check_fails(2, {p.in, p.folder.file("a.pth"), "--type", "int8"},
              "OUT: got '" + p.folder.file("a.pth") + "', want .safetensors");
  check_fails(2, {p.in, p.in, "--type", "int8"}, "OUT would replace IN");
  check_fails(2, {"no such file", p.out, "--type", "int8"}, "rwkv7::file: no such file: does not exist");
  CHECK(p.folder.size() == 1);
  CHECK(content_of(p.in) == p.content);
}

TEST_CASE("a model whose columns do not fit is refused, and nothing is written") {
  const place p(96);
  const auto run = run_example("quantise", {p.in, p.out, "--type", "nf4"});
  CHECK(run.status == 2);
  CHECK(run.err.find("blocks.0.ffn.value.weight: rwkv7::quant::pack: columns: got 96, want a multiple of 64\n") !=
        run.err.npos);
  CHECK(p.folder.size() == 1);
}

TEST_CASE("what cannot be written leaves what was there") {
  const place p;
  std::ofstream(p.out) << "before";
  check_fails(1, {p.in, p.out, "--type", "int4"},
              "rwkv7::file: " + rwkv7::detail::shown(std::filesystem::path(p.out)) + ": cannot be written",
              "trap '' XFSZ; ulimit -f 20;");
  CHECK(content_of(p.out) == "before");
  CHECK(p.folder.size() == 2);
}
