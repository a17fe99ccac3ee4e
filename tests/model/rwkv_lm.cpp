// SPDX-License-Identifier: MIT
// Opening checkpoints: what is accepted, and what is named when it is not.
#include "rwkv7/model/rwkv_lm.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "rwkv7/exec/reference.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/compare.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::x070;

namespace {

using tensors = std::vector<file_tensor>;

/// The n16 model: C 48, H 3, N 16, F 72, V 61, two blocks.
tensors right() { return golden_model("n16").checkpoint(); }

file_tensor& find(tensors& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(), [&](const auto& tensor) { return tensor.name == name; });
}
void erase(tensors& all, const std::string& name) {
  std::erase_if(all, [&](const auto& tensor) { return tensor.name == name; });
}
/// Another shape, and zeros in it.
void reshape(tensors& all, const std::string& name, const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
  find(all, name) = f32_tensor(name, shape, std::vector<float>(count));
}

/// What is said about the n16 model with one thing changed, after the name of the file.
std::string complaint_about(const std::function<void(tensors&)>& change, index_t head_size = 64) {
  auto all = right();
  change(all);
  const temporary_file file(safetensors_bytes(all));
  const auto text = complaint_of([&] { language_model<x070>::open(file.path(), {.head_size = head_size}); });
  const auto start = "rwkv7::language_model: " + rwkv7::detail::shown(file.path()) + ": ";
  return text.starts_with(start) ? text.substr(start.size()) : "not as expected: " + text;
}

std::vector<float> logits_of(const tensors& all) {
  const temporary_file file(safetensors_bytes(all));
  const auto model = language_model<x070>::open(file.path());
  rwkv7::reference_executor exec;
  state_pool<float> state(model, 1);
  return prefill(model, exec, some_tokens("open", 5, model.sizes().V), 5, state);
}

}  // namespace

TEST_CASE("vectors may be stored with or without axes of extent 1") {
  auto flat = right(), deep = right();
  for (auto& tensor : flat)
    if (tensor.shape.size() == 3) tensor.shape = {tensor.shape[2]};
  for (auto& tensor : deep)
    if (tensor.shape.size() == 1) tensor.shape = {1, 1, tensor.shape[0]};
  const auto want = logits_of(right());
  CHECK(same_bits(logits_of(flat), want));
  CHECK(same_bits(logits_of(deep), want));
}

TEST_CASE("the value mix of block 0 may be there, in any shape") {
  auto all = right();
  all.push_back(f32_tensor("blocks.0.att.v0", {1, 1, 48}, std::vector<float>(48)));
  all.push_back(f32_tensor("blocks.0.att.v1", {48, 5}, std::vector<float>(240)));
  all.push_back({"blocks.0.att.v2", "I8", {7}, "1234567"});
  CHECK(same_bits(logits_of(all), logits_of(right())));
}

TEST_CASE("what the file says about the file comes first") {
  const temporary_file file("too short");
  CHECK(complaint_of([&] { language_model<x070>::open(file.path()); }).starts_with("rwkv7::safetensors: "));
  CHECK(complaint_of([] { language_model<x070>::open("/no/such/file"); }) ==
        "rwkv7::file: /no/such/file: does not exist");
}

TEST_CASE("every parameter is missed") {
  for (const auto& tensor : right()) {
    CAPTURE(tensor.name);
    CHECK(complaint_about([&](tensors& all) { erase(all, tensor.name); }) == tensor.name + ": is missing");
  }
}

TEST_CASE("every parameter of another shape or type is named") {
  for (const auto& tensor : right()) {
    CAPTURE(tensor.name);
    const auto starts = [&](const std::string& text) {
      CAPTURE(text);
      CHECK(text.starts_with("blocks."));
    };
    CHECK(complaint_about([&](tensors& all) { find(all, tensor.name).dtype = "I32"; }) ==
          tensor.name + ": dtype: got I32, want F32, F16 or BF16");
    CHECK(complaint_about([&](tensors& all) {
            reshape(all, tensor.name, {1, 2, 1, 2});
          }).starts_with(tensor.name + ": axes: got "));
    auto shape = tensor.shape;
    shape.back() = 0;
    CHECK(complaint_about([&](tensors& all) { reshape(all, tensor.name, shape); }) ==
          tensor.name + ": extent: got 0, want 1 or more");
    // One more along the last axis. Where sizes are read from this tensor, another one is then blamed, or it is H or N.
    shape.back() = tensor.shape.back() + 1;
    const auto text = complaint_about([&](tensors& all) { reshape(all, tensor.name, shape); });
    if (tensor.name == "emb.weight" || tensor.name.ends_with("r_k"))
      starts(text);
    else if (!tensor.name.ends_with("1") || tensor.name.ends_with("ln1"))
      CHECK(text.starts_with(tensor.name + ": axis "));
    else  // the rank of a low-rank map is read from its first matrix
      CHECK(text.starts_with(tensor.name.substr(0, tensor.name.size() - 1) + "2: axis rank: got "));
  }
}

TEST_CASE("messages say what was got and what was wanted") {
  CHECK(complaint_about([](tensors& all) {
          reshape(all, "blocks.1.att.w0", {1, 1, 47});
        }) == "blocks.1.att.w0: axis D: got 47, want 48");
  CHECK(complaint_about([](tensors& all) {
          reshape(all, "blocks.1.att.x_r", {48, 1});
        }) == "blocks.1.att.x_r: axes: got 2, want 1");
  CHECK(complaint_about([](tensors& all) {
          reshape(all, "blocks.0.ffn.value.weight", {48, 71});
        }) == "blocks.0.ffn.value.weight: axis F: got 71, want 72");
  CHECK(complaint_about([](tensors& all) {
          find(all, "head.weight").dtype = "F64";
          find(all, "head.weight").bytes.append(find(all, "head.weight").bytes);
        }) == "head.weight: dtype: got F64, want F32, F16 or BF16");
}

TEST_CASE("tensors of another model are named") {
  const auto extra = [](const std::string& name) {
    return complaint_about([&](tensors& all) { all.push_back(f32_tensor(name, {1}, {0})); });
  };
  for (const char* name : {"blocks.01.ln1.weight", "blocks.1.ln0.weight", "blocks.0", "blocks.", "blocks.x.ln1.weight",
                           "blocks.12345678901234567890.ln1.weight", "lm_head.weight", "blocks.0.att.v3", ""}) {
    CAPTURE(name);
    CHECK(extra(name) == std::string(name) + ": is not a tensor of this model");
  }
}

TEST_CASE("neighbours of x070 are told by name") {
  const auto extra = [](const std::string& name) {
    return complaint_about([&](tensors& all) { all.push_back(f32_tensor(name, {1}, {0})); });
  };
  CHECK(extra("blocks.0.ffn.s_emb.weight") ==
        "blocks.0.ffn.s_emb.weight: belongs to DeepEmbed: this is an RWKV-7a, not an x070");
  CHECK(extra("blocks.1.qkv.qq.weight") == "blocks.1.qkv.qq.weight: belongs to DEA: this is an RWKV-7b, not an x070");
}

TEST_CASE("blocks must follow each other, so a large number costs nothing") {
  const auto extra = [](const std::string& name) {
    return complaint_about([&](tensors& all) { all.push_back(f32_tensor(name, {1}, {0})); });
  };
  CHECK(extra("blocks.3.ln1.weight") == "blocks.2.ln1.weight: is missing");
  CHECK(extra("blocks.999999999.ln1.weight") == "blocks.2.ln1.weight: is missing");
  CHECK(extra("blocks.2.ln1.weight") == "blocks.2.ln1.bias: is missing");
  CHECK(complaint_about([](tensors& all) { all.clear(); }) == "blocks.0.ln1.weight: is missing");
}

TEST_CASE("heads that cannot be") {
  CHECK(complaint_about([](tensors& all) {
          reshape(all, "blocks.0.att.r_k", {1, 257});
        }) == "blocks.0.att.r_k: axis N: got 257, want 1 to 256 (define RWKV7_MAX_HEAD_SIZE to compile in more)");
  CHECK(complaint_about([](tensors& all) {
          reshape(all, "blocks.0.att.key.weight", {32, 48});
        }) == "blocks.0.att.key.weight: axis D_kv: got 32, want 16 times a divisor of 3");
  CHECK(complaint_about([](tensors& all) {
          reshape(all, "blocks.0.att.key.weight", {15, 48});
        }) == "blocks.0.att.key.weight: axis D_kv: got 15, want 16 times a divisor of 3");
  CHECK(complaint_about([](tensors& all) {
          reshape(all, "blocks.0.att.key.weight", {17, 48});
        }) == "blocks.0.att.key.weight: axis D_kv: got 17, want 16");
}

TEST_CASE("without r_k the head size is the caller's, and checked") {
  constexpr auto no_bonus = [] {
    auto v = x070;
    v.bonus = false;
    return v;
  }();
  const temporary_file file(safetensors_bytes(golden_model("n16_no_bonus").checkpoint()));
  const auto complaint = [&](index_t head_size) {
    const auto text = complaint_of([&] { language_model<no_bonus>::open(file.path(), {.head_size = head_size}); });
    return text.substr(std::min(text.size(), text.find(".safetensors: ") + 14));
  };
  CHECK(language_model<no_bonus>::open(file.path(), {.head_size = 16}).sizes().H == 3);
  CHECK(language_model<no_bonus>::open(file.path(), {.head_size = 24}).sizes().H == 2);
  CHECK(complaint(-1) == "head size: axis N: got -1, want 1 to 256 (define RWKV7_MAX_HEAD_SIZE to compile in more)");
  CHECK(complaint(64) == "blocks.0.att.receptance.weight: axis D: got 48, want a multiple of 64");
  CHECK(complaint(5) == "blocks.0.att.receptance.weight: axis D: got 48, want a multiple of 5");
}
