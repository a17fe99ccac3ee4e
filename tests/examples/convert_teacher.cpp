// SPDX-License-Identifier: MIT
// What convert_teacher writes, prints and refuses, and that what it does not finish leaves no trace.
#include <doctest/doctest.h>

#include <sstream>

#include "rwkv7/model/checkpoint.hpp"
#include "support/program.hpp"
#include "support/small_teacher.hpp"

using namespace rwkv7_test;

namespace {

/// A folder with teacher/, and the name of one for the new model.
struct place {
  temporary_folder folder{};
  std::string in = folder.file("teacher"), out = folder.file("new");

  explicit place(const teacher_traits& traits = {}, bool parts = false) { small_teacher(traits).write(in, parts); }
  explicit place(const small_teacher& teacher) { teacher.write(in); }
  std::string written(const std::string& name) const { return content_of(out + "/" + name); }
};

outcome run(const place& p, std::vector<std::string> more, const std::string& before = "") {
  more.insert(more.begin(), {p.in, p.out});
  return run_example("convert_teacher", more, before);
}

void check_fails(int status, const std::vector<std::string>& arguments, const std::string& line) {
  CAPTURE(line);
  const auto failed = run_example("convert_teacher", arguments);
  CHECK(failed.status == status);
  CHECK(failed.out.empty());
  CHECK(failed.err == "convert_teacher: " + line + "\n");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a hybrid: its files, and a report of what became of what") {
  small_teacher teacher({.biases = "qkv", .qk_norm = true, .tied = true});
  teacher.add("model.layers.0.self_attn.rotary_emb.inv_freq", {3});
  teacher.config["rope_scaling"] = {{"rope_type", "yarn"}};
  const place p(teacher);
  const auto made = run(p, {"--target", "hxa079", "--attention-layers", "0,2"});
  CHECK(made.status == 0);
  // Per layer: 2 + 3 + 2 inherited; attention 4 + 3 more; time-mix q, k with biases and the rest multiplied. V C 176,
  // C 16, D C 384, D_kv C 192, F C 320 elements of 2 bytes.
  const std::size_t layer = 2 * 16 + 3 * 320 + 2 * 6, attention = 2 * 384 + 2 * 192 + 24 + 12 + 12;
  const std::size_t inherited = 2 * (176 + 16 + 4 * layer + 2 * attention + 2 * (384 + 192 + 24 + 12));
  const std::size_t multiplied = 2 * 2 * (192 + 12 + 384);
  // f32: w0 a0 r_k and three maps of rank 32; the second time-mix has v and k.
  const std::size_t each = 3 * 24 + 3 * 32 * (16 + 24), second = 2 * 12 + 2 * 32 * (16 + 12);
  const std::size_t made_bytes = 4 * (2 * each + second);
  char line[200];
  const auto row = [&](const char* kind, std::size_t count, std::size_t bytes) {
    std::snprintf(line, sizeof line, "%-10s  %6zu tensors  %14zu bytes", kind, count, bytes);
    return std::string(line);
  };
  CHECK(lines_of(made.out) ==
        std::vector<std::string>{"hxa079: 4 layers, attention in 0 2", "ranks: w 32, a 32, v 32, k 32, g 32",
                                 "multipliers: r 1, k 1, v 0.3, o 0.5",
                                 row("inherited", 2 + 4 * 7 + 2 * 7 + 2 * 4, inherited),
                                 row("multiplied", 2 * 3, multiplied), row("made", 2 * 9 + 6, made_bytes),
                                 row("dropped", 1, 6), "dropped: model.layers.0.self_attn.rotary_emb.inv_freq",
                                 "dropped: architectures of config.json", "dropped: rope_scaling of config.json"});
  const auto file = rwkv7::open_checkpoint(p.out + "/model.safetensors");
  CHECK(file.tensors.size() == 52 + 6 + 24);
  CHECK(file.metadata.at("format") == "pt");
  std::size_t bytes = 0;
  for (const auto& tensor : file.tensors) bytes += tensor.bytes.size();
  CHECK(bytes == inherited + multiplied + made_bytes);
  CHECK(file.find("blocks.0.att.q_proj.bias"));
  CHECK(file.find("blocks.1.att.receptance.bias"));
  CHECK(!file.find("blocks.1.att.k0"));
  CHECK(file.find("blocks.3.att.k0"));
  const auto config = nlohmann::json::parse(p.written("config.json"));
  CHECK(config["rwkv_architecture"] == "hxa079");
  CHECK(config["transformer_layers"].dump() == "[0,2]");
  CHECK(config["tie_word_embeddings"] == true);
  CHECK(config["num_hidden_layers"] == 4);
  CHECK(std::distance(std::filesystem::directory_iterator(p.out), {}) == 2);
}

TEST_CASE("a teacher in parts, or named by its file, is the same; so is a second run, but not another seed") {
  const place whole, parts({}, true);
  CHECK(run(whole, {"--target", "cxa079"}).status == 0);
  CHECK(run(parts, {"--target", "cxa079"}).status == 0);
  const auto model = whole.written("model.safetensors"), config = whole.written("config.json");
  CHECK(!model.empty());
  CHECK(parts.written("model.safetensors") == model);
  CHECK(parts.written("config.json") == config);
  CHECK(
      run_example("convert_teacher", {whole.in + "/model.safetensors", whole.out, "--target", "cxa079", "--seed", "0"})
          .status == 0);
  CHECK(whole.written("model.safetensors") == model);
  CHECK(run(whole, {"--target", "cxa079", "--seed", "18446744073709551615"}).status == 0);
  CHECK(whole.written("model.safetensors") != model);
}

TEST_CASE("multipliers and recipes") {
  const place p;
  const auto line = [&](const std::vector<std::string>& more, std::size_t which) {
    const auto made = run(p, more);
    CHECK(made.status == 0);
    return lines_of(made.out).at(which);
  };
  CHECK(line({"--target", "cxa076"}, 0) == "cxa076: 4 layers, attention in none");
  CHECK(line({"--target", "cxa076"}, 1) == "ranks: w 32, a 32, v 32, k 0, g 32");
  CHECK(line({"--target", "cxa076"}, 2) == "multipliers: r 0.5, k 0.4, v 0.3, o 0.5");
  CHECK(line({"--target", "cxa079", "--recipe", "original"}, 2) == "multipliers: r 1, k 1, v 0.3, o 0.5");
  CHECK(line({"--target", "cxa079", "--recipe", "latest"}, 1) == "ranks: w 256, a 32, v 32, k 32, g 256");
  CHECK(line({"--target", "cxa079", "--recipe", "latest"}, 2) == "multipliers: r 0.5, k 0.5, v 0.3, o 0.5");
  CHECK(line({"--target", "cxa079", "--multipliers", "-1,1e-3,0.25,1"}, 2) ==
        "multipliers: r -1, k 0.001, v 0.25, o 1");
}

TEST_CASE("command lines that cannot be used") {
  const place p;
  const auto fails = [&](std::vector<std::string> more, const std::string& line) {
    more.insert(more.begin(), {p.in, p.out});
    check_fails(2, more, line);
  };
  check_fails(2, {}, "want TEACHER OUT; see --help");
  fails({}, "--target: got '', want cxa076, cxa079 or hxa079");
  fails({"--target", "x070"}, "--target: got 'x070', want cxa076, cxa079 or hxa079");
  fails({"--target", "cxa079", "--recipe", "newest"}, "--recipe: got 'newest', want original or latest");
  for (const std::string text : {"1,1,1", "1,1,1,1,1", "1,1,1,x", "1,1,1,1x"})
    fails({"--target", "cxa079", "--multipliers", text},
          "--multipliers: got '" + text + "', want four numbers like 1,1,0.3,0.5");
  fails({"--target", "cxa079", "--seed", "-1"}, "--seed: got '-1', want a whole number from 0 to 18446744073709551615");
  const std::string about = "rwkv7::convert_teacher: " + rwkv7::detail::shown(std::filesystem::path(p.in)) + ": ";
  fails({"--target", "hxa079", "--attention-layers", "9"}, about + "attention_layers: got 9, want 0 to 3");
  fails({"--target", "cxa079", "--multipliers", "1,1,nan,1"}, about + "multipliers: got what is not finite");
  check_fails(2, {p.in, p.in, "--target", "cxa079"}, "OUT would replace TEACHER");
  check_fails(2, {p.in + "/model.safetensors", p.in + "/", "--target", "cxa079"}, "OUT would replace TEACHER");
  check_fails(2, {"no such", p.out, "--target", "cxa079"}, "rwkv7::file: no such: does not exist");
  CHECK(!std::filesystem::exists(p.out));
  CHECK(run_example("convert_teacher", {"--help"}).out.starts_with("convert_teacher TEACHER OUT --target"));
}

TEST_CASE("a teacher that cannot be used is refused by name, and nothing is written") {
  small_teacher teacher;
  teacher.remove("model.layers.2.self_attn.v_proj.weight");
  const place p(teacher);
  check_fails(2, {p.in, p.out, "--target", "cxa079"},
              "rwkv7::transformer: " + rwkv7::detail::shown(std::filesystem::path(p.in)) +
                  ": model.layers.2.self_attn.v_proj.weight: is missing");
  CHECK(!std::filesystem::exists(p.out));
}

TEST_CASE("what cannot be written leaves what was there") {
  const place p;
  std::filesystem::create_directory(p.out);
  for (const char* name : {"model.safetensors", "config.json"}) std::ofstream(p.out + "/" + name) << "before";
  CHECK(run(p, {"--target", "cxa079"}, "trap '' XFSZ; ulimit -f 20;").status == 1);
  CHECK(p.written("model.safetensors") == "before");
  CHECK(p.written("config.json") == "before");
  CHECK(std::distance(std::filesystem::directory_iterator(p.out), {}) == 2);
  std::ofstream(p.folder.file("file")) << "in the way";
  CHECK(run_example("convert_teacher", {p.in, p.folder.file("file"), "--target", "cxa079"}).status == 1);
}
