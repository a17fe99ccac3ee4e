// SPDX-License-Identifier: MIT
// rwkv7-test: not sanitized
// rwkv7-test: no exceptions
// How a bad file reaches the caller in either kind of build: thrown where exceptions are on, told to a handler where
// they are off, and then there is no model.
#include <doctest/doctest.h>

#include <string>

#include "rwkv7/exec/reference.hpp"
#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/reported.hpp"
#include "support/safetensors_writer.hpp"

using rwkv7::language_model;
using rwkv7::open_safetensors;
using rwkv7_test::f32_tensor;
using rwkv7_test::reported;
using rwkv7_test::safetensors_bytes;
using rwkv7_test::temporary_file;

TEST_CASE("a missing file") {
  language_model<> model;
  CHECK(reported([&] { model = language_model<>::open("/no/such/file"); }) ==
        "rwkv7::file: /no/such/file: does not exist");
  CHECK(!model);
}

TEST_CASE("a file that is none, in each way the parser can fail") {
  for (const char* header :
       {"", "{", "[1,2", "{\"x\":}", "{\"x\":1}", "{\"x\":{\"dtype\":3}}", "\"\\ud800\"", "1e999"}) {
    CAPTURE(header);
    const temporary_file file(safetensors_bytes(header, ""));
    rwkv7::tensor_file opened;
    language_model<> model;
    CHECK(reported([&] { opened = open_safetensors(file.path()); }).starts_with("rwkv7::safetensors: "));
    CHECK(reported([&] { model = language_model<>::open(file.path()); }).starts_with("rwkv7::safetensors: "));
    CHECK(!opened);
    CHECK(!model);
  }
}

TEST_CASE("a file of another format, in each way a reader can fail") {
  // A zip archive of nothing, and a GGUF file of nothing with one byte too few.
  const std::string zip = "PK\5\6" + std::string(18, '\0'), gguf = std::string("GGUF\3\0\0", 7);
  for (const std::string& content : {"PK\3\4" + zip, std::string("PK\3\4"), std::string("\x80\x02\x8a\x0a"), gguf}) {
    const temporary_file file(content);
    rwkv7::tensor_file opened;
    language_model<> model;
    const std::string who = content[0] == 'G' ? "rwkv7::gguf: " : "rwkv7::pth: ";
    CHECK(reported([&] { opened = rwkv7::open_checkpoint(file.path()); }).starts_with(who));
    CHECK(reported([&] { model = language_model<>::open(file.path()); }).starts_with(who));
    CHECK(reported([&] {
            opened = content[0] == 'G' ? rwkv7::open_gguf(file.path()) : rwkv7::open_pth(file.path());
          }).starts_with(who));
    CHECK(!opened);
    CHECK(!model);
  }
  CHECK(reported([] {
          rwkv7::open_checkpoint(std::filesystem::temp_directory_path() / "no such folder/");
        }).ends_with(": does not exist"));
}

TEST_CASE("writers complain by what they return, in either kind of build") {
  rwkv7::tensor_file none;
  const auto ignore = [](std::size_t) {};
  for (const auto format : {rwkv7::checkpoint_format::safetensors, rwkv7::checkpoint_format::hf,
                            rwkv7::checkpoint_format::pth, rwkv7::checkpoint_format::gguf})
    CHECK(std::string(write_checkpoint("/no/such/folder", none, format, {}, ignore).message())
              .ends_with("blocks.0.ln1.weight: is missing"));
  for (const auto& problem :
       {rwkv7::write_safetensors("/no/such/file", {}, {}, ignore), rwkv7::write_pth("/no/such/file", {}, ignore),
        rwkv7::write_gguf("/no/such/file", {}, {}, ignore)})
    CHECK(std::string(problem.message()) == "rwkv7::file: /no/such/file: cannot be written");
}

TEST_CASE("a file of something else") {
  const temporary_file file(safetensors_bytes({f32_tensor("blocks.0.ln1.weight", {4}, {1, 2, 3, 4})}));
  language_model<> model;
  CHECK(reported([&] { model = language_model<>::open(file.path()); }).ends_with(": emb.weight: is missing"));
  CHECK(!model);
}

TEST_CASE("an empty model neither runs nor packs") {
  language_model<> model;
  const std::string want = "layers: got 0, want 1 or more";
  CHECK(reported([&] {
          model.forward(rwkv7::reference_executor{}, rwkv7::dense{1, 0}, {}, {}, {}, {});
        }) == "rwkv7::language_model: " + want);
  CHECK(reported([&] { model.pack({}); }) == "rwkv7::language_model::pack: " + want);
}
