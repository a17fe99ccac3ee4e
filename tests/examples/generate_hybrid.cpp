// SPDX-License-Identifier: MIT
// generate on linearised Transformers: what tensors do not tell comes from config.json or options, or is asked for.
#include <doctest/doctest.h>

#include <cstring>

#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/hybrid_model.hpp"
#include "support/program.hpp"
#include "support/small_teacher.hpp"

using namespace rwkv7_test;

namespace {

using words = std::vector<std::string>;

const std::string ids = "3,1,4,1,5,9,2,6,5,3,5,8";
const std::vector<std::int32_t> tokens{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};

/// A folder with a golden model and, where there is one, a config.json.
struct place {
  temporary_folder folder{};
  std::string model = folder.file("model.safetensors");

  explicit place(const char* golden, const std::string& config = "") {
    write("model.safetensors", safetensors_bytes(family_case(golden).checkpoint()));
    if (!config.empty()) write("config.json", config);
  }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(folder.file(name), std::ios::binary) << content;
  }
  outcome run(words options) const {
    const words first{"--model", model, "--tokens", ids, "-n", "4", "--logits-out", folder.file("logits")};
    options.insert(options.begin(), first.begin(), first.end());
    return run_example("generate", options);
  }
  std::vector<float> logits() const {
    const auto bytes = content_of(folder.file("logits"));
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
};

/// What the library gives for the same tokens.
template <rwkv7::variant V>
std::vector<float> logits_of(const char* golden, const rwkv7::model_config& config) {
  auto model = open_family<V, float>(family_case(golden), config);
  const packed_parameters memory(model);
  state_pool<float> state(model, 1);
  auto exec = one_thread();
  return prefill(model, exec, tokens, 12, state);
}

constexpr auto hxa079 = [] {
  auto v = rwkv7::cxa079;
  v.qk_norm = false;
  return v;
}();

void check_fails(const outcome& run, const std::string& part) {
  CAPTURE(run.err);
  CHECK(run.status == 2);
  CHECK(run.out == "");
  CHECK(run.err.find(part) != run.err.npos);
}

}  // namespace

TEST_CASE("a hybrid runs as its config.json says, and its tokens are those of the library") {
  const place p(
      "hxa079_layer_0",
      R"({"rwkv_architecture": "hxa079", "transformer_layers": [0], "rms_norm_eps": 1e-6, "rope_theta": 10000})");
  rwkv7::model_config config;
  config.norm_eps = 1e-6, config.rope_theta = 10000;
  const auto all = p.run({});
  CHECK(all.status == 0);
  CHECK(std::count(all.out.begin(), all.out.end(), ',') == 3);
  CHECK(p.logits() == logits_of<hxa079>("hxa079_layer_0", config));
  config.context = 5;
  CHECK(p.run({"--context", "5", "--chunk", "5"}).status == 0);
  CHECK(relative_l2(p.logits(), logits_of<hxa079>("hxa079_layer_0", config)) <= 1e-6);
}

TEST_CASE("options say it as well, and more than the config.json") {
  const place bare("hxa079_layer_0");
  rwkv7::model_config config;
  config.norm_eps = 1e-6, config.rope_theta = 1e6;
  const auto want = logits_of<hxa079>("hxa079_layer_0", config);
  CHECK(bare.run({"--norm-eps", "1e-6", "--rope-theta", "1e6"}).status == 0);  // its tensors say what it is
  CHECK(relative_l2(bare.logits(), want) <= 1e-6);                             // the eps is a float here
  const place other("hxa079_layer_0", R"({"rms_norm_eps": 1e-6, "rope_theta": 5})");
  CHECK(other.run({"--rope-theta", "1e6"}).status == 0);
  CHECK(relative_l2(other.logits(), want) <= 1e-6);
  other.write("another.json", R"({"rms_norm_eps": 1e-6, "rope_theta": 1e6})");
  CHECK(other.run({"--config", other.folder.file("another.json")}).status == 0);
  CHECK(other.logits() == want);
  CHECK(other.run({"--config", other.folder.file("another.json"), "--variant", "hxa079"}).status == 0);
  CHECK(other.logits() == want);
}

TEST_CASE("what neither tensors nor config tell is named") {
  check_fails(place("hxa079_layer_0").run({}), "rms_norm_eps: is not given");
  check_fails(place("hxa079_layer_0").run({"--norm-eps", "1e-6"}), "rope_theta: is not given");
  check_fails(place("cxa076").run({"--norm-eps", "1e-6"}), "rwkv_architecture: is not given");
  check_fails(place("cxa076").run({"--norm-eps", "1e-6", "--variant", "cxa076"}), "rwkv_gate: is not given");
  CHECK(place("cxa076").run({"--norm-eps", "1e-6", "--variant", "cxa076", "--gate", "sigmoid"}).status == 0);
  check_fails(place("cxa079").run({"--variant", "cxa999", "--norm-eps", "1e-6"}), "rwkv_architecture: got cxa999");
  check_fails(place("cxa079", "{").run({}), "config.json: is not a JSON object");
  check_fails(place("hxa07a").run({"--norm-eps", "1e-6", "--rope-theta", "1e6"}), "head_dim: is not given");
}

TEST_CASE("a state that is saved goes on where it was") {
  const place p("hxa079_layer_0", R"({"rms_norm_eps": 1e-6, "rope_theta": 10000})");
  const auto whole = run_example("generate", {"--model", p.model, "--tokens", ids, "-n", "8"});
  const auto first =
      run_example("generate", {"--model", p.model, "--tokens", ids, "-n", "3", "--state-out", p.folder.file("state")});
  CHECK(first.status == 0);
  // The state has seen all three; what follows the last of them needs one token more.
  const auto all = rwkv7_test::content_of(p.folder.file("state"));
  CHECK(!all.empty());
  const auto third = first.out.substr(0, first.out.size() - 1);
  CHECK(whole.out.starts_with(third));
  const auto fourth = whole.out.substr(third.size() + 1, whole.out.find(',', third.size() + 1) - third.size() - 1);
  const auto rest = run_example(
      "generate", {"--model", p.model, "--tokens", fourth, "-n", "4", "--state-in", p.folder.file("state")});
  CHECK(rest.status == 0);
  CHECK(whole.out == third + "," + fourth + "," + rest.out);
}

TEST_CASE("what convert_teacher makes runs") {
  for (const char* target : {"cxa076", "cxa079", "hxa079"}) {
    CAPTURE(target);
    const temporary_folder folder;
    small_teacher({.biases = "qkv", .qk_norm = true, .tied = true}).write(folder.file("teacher"), false);
    words options{folder.file("teacher"), folder.file("new"), "--target", target};
    if (std::string(target) == "hxa079") options.insert(options.end(), {"--attention-layers", "1,3"});
    CHECK(run_example("convert_teacher", options).status == 0);
    const auto run = run_example("generate", {"--model", folder.file("new"), "--tokens", "1,2,3", "-n", "3"});
    CHECK(run.status == 0);
    CHECK(std::count(run.out.begin(), run.out.end(), ',') == 2);
  }
}

TEST_CASE("a batch of lines runs each as alone") {
  const place p("hxa079_layer_0", R"({"rms_norm_eps": 1e-6, "rope_theta": 10000})");
  p.write("lines", "3,1,4\n1,5,9,2,6\n5,3\n");
  const auto batch = run_example(
      "generate", {"--model", p.model, "--batch-tokens", p.folder.file("lines"), "-n", "5", "--slots", "2"});
  CHECK(batch.status == 0);
  std::string alone;
  for (const char* line : {"3,1,4", "1,5,9,2,6", "5,3"})
    alone += run_example("generate", {"--model", p.model, "--tokens", line, "-n", "5"}).out;
  CHECK(batch.out == alone);
}

TEST_CASE("a hybrid in 8 bits runs, near to what it was") {
  const temporary_folder folder;
  small_teacher({.C = 64, .F = 96, .N = 16}).write(folder.file("teacher"), false);
  CHECK(run_example("convert_teacher",
                    {folder.file("teacher"), folder.file("new"), "--target", "hxa079", "--attention-layers", "1"})
            .status == 0);
  const auto logits = [&](const std::string& model) {
    const auto run =
        run_example("generate", {"--model", model, "--config", folder.file("new") + "/config.json", "--tokens",
                                 "1,2,3,4,5", "-n", "1", "--logits-out", folder.file("logits")});
    CHECK(run.status == 0);
    const auto bytes = content_of(folder.file("logits"));
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  };
  const auto quantised = folder.file("small.safetensors");
  const auto run = run_example("quantise", {folder.file("new"), quantised, "--type", "int8"});
  CHECK(run.status == 0);
  CHECK(run.out.find("blocks.1.att.q_proj.weight") != run.out.npos);
  CHECK(run.out.find("blocks.0.ffn.gate.weight") != run.out.npos);
  const double distance = relative_l2(logits(quantised), logits(folder.file("new")));
  CHECK(distance < 0.05);
  CHECK(distance > 1e-5);
}
