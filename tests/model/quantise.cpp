// SPDX-License-Identifier: MIT
// Quantised checkpoints: made, written, opened, run, refused.
#include "rwkv7/model/quantise.hpp"

#include <doctest/doctest.h>

#include <cstdio>

#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/quantised.hpp"
#include "support/read_bytes.hpp"
#include "support/refused.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_checkpoint.hpp"

using namespace rwkv7_test;
using rwkv7::dtype;
using rwkv7::storage;
using rwkv7::x070;

namespace {

constexpr auto ignore = [](auto&&) {};

/// A checkpoint quantised into a file of its own.
struct quantised_file {
  temporary_folder folder{};
  std::string path = folder.file("quantised.safetensors");
  std::vector<rwkv7::quantised_matrix> report{};

  quantised_file(const rwkv7::tensor_file& from, dtype type, dtype head) {
    const auto made = rwkv7::quantise(from, type, head, [&](const auto& m) { report.push_back(m); });
    CHECK(!rwkv7::write_safetensors(path, made.tensors, {}, ignore));
  }
};

template <class T, class Exec>
std::vector<T> logits_of(const std::string& path, Exec& exec, bool packed) {
  auto model = language_model<x070, T>::open(path);
  std::vector<std::byte> memory(packed ? model.weights_size() + 1 : 0);
  if (packed) model.pack(std::span(memory).subspan(1));
  state_pool<T> state(model, 1);
  return prefill(model, exec, some_tokens("quantised", 20, model.sizes().V), 10, state);
}

/// What holds of a model in every format.
void check_model(const std::string& original) {
  const auto from = rwkv7::open_checkpoint(original);
  rwkv7::reference_executor reference;
  const auto exact = logits_of<double>(original, reference, false);
  std::vector<std::vector<double>> all;
  for (const dtype type : quantised_types) {
    INFO(std::string(name_of(type)));
    const quantised_file file(from, type, type);
    const auto want = logits_of<double>(file.path, reference, false);
    CHECK(same_bits(want, logits_of<double>(file.path, reference, true)));
    double rounded = 0;
    for_each_arch([&](auto& exec) {
      for (const bool packed : {false, true}) {
        rounded = relative_l2(logits_of<float>(file.path, exec, packed), want);
        CHECK(rounded <= budget::quantised_model);
      }
    });
    // The format's error, and nothing more; a model that was not quantised at all would show as well.
    const double lost = relative_l2(want, exact);
    std::printf("%-9s  logits: %.2g from the original's, on the cpu %.2g from the reference's\n", name_of(type), lost,
                rounded);
    CHECK(lost <= 4 * budget::of_normal_weights(type));
    CHECK(lost >= 0.1 * budget::of_normal_weights(type));
    all.push_back(want);
  }
  // What is allowed between executors tells one format from another.
  for (std::size_t i = 1; i < all.size(); ++i) CHECK(relative_l2(all[i], all[0]) > 5 * budget::quantised_model);
}

}  // namespace

TEST_CASE("a golden model runs in every format: on each instruction set as in the reference, and near the original") {
  const temporary_file file(safetensors_bytes(golden_model("h4n64").checkpoint()));
  check_model(file.path().string());
}

TEST_CASE("a published checkpoint likewise") {
  const std::string data = RWKV7_TEST_DATA_DIR;
  if (data.empty()) return skip("a published checkpoint: RWKV7_TEST_DATA is not set");
  check_model(data + "/tiny-rwkv-7v0-834K-F32.safetensors");
}

TEST_CASE("a quantised model cut into calls anywhere agrees as said") {
  const temporary_file original(safetensors_bytes(golden_model("h4n64").checkpoint()));
  for (const dtype type : quantised_types) {
    INFO(std::string(name_of(type)));
    const quantised_file file(rwkv7::open_checkpoint(original.path()), type, type);
    const auto model = language_model<x070, float>::open(file.path);
    auto exec = one_thread();
    const auto tokens = some_tokens("cut", 64, model.sizes().V);
    const auto in_parts = [&](index_t chunk) {
      state_pool<float> state(model, 1);
      return prefill(model, exec, tokens, chunk, state);
    };
    const auto whole = in_parts(64);
    CHECK(same_bits(in_parts(32), whole));
    for (const index_t chunk : {1, 7, 33})
      CHECK(relative_l2(in_parts(chunk), whole) <= (type == dtype::nf4 ? budget::split : budget::quantised_split));
  }
}

TEST_CASE("one scale that is wrong by a factor of 2 shows") {
  const temporary_file original(safetensors_bytes(golden_model("h4n64").checkpoint()));
  const quantised_file file(rwkv7::open_checkpoint(original.path()), dtype::int8, dtype::int8);
  rwkv7::reference_executor reference;
  const auto want = logits_of<double>(file.path, reference, false);
  auto content = content_of(file.path);
  const auto opened = rwkv7::open_checkpoint(file.path);
  const auto* head = opened.find("head.weight");
  const auto place = content.size() -
                     static_cast<std::size_t>(opened.files[0].bytes().data() + content.size() -
                                              (head->bytes.data() + head->bytes.size())) -
                     1;
  content[place] = static_cast<char>(content[place] + 1);  // the exponent of the last row's last scale
  const temporary_file damaged(content);
  CHECK(relative_l2(logits_of<double>(damaged.path().string(), reference, false), want) > 5 * budget::quantised_model);
}

TEST_CASE("what is quantised is what may be, and the rest keeps its bytes") {
  auto model = tiny_model({.V = 5, .C = 64, .layers = 2, .H = 1, .N = 64, .H_kv = 1, .F = 128}, storage::bf16);
  const auto& from = model.file();
  const quantised_file file(from, dtype::int4, dtype::int8);
  CHECK(file.report.size() == 2 * 6 + 1);
  const auto to = rwkv7::open_checkpoint(file.path);
  CHECK(to.metadata.empty());
  REQUIRE(to.tensors.size() == from.tensors.size());
  std::size_t quantised = 0;
  for (std::size_t i = 0; i < to.tensors.size(); ++i) {
    const auto &a = from.tensors[i], &b = to.tensors[i];
    CHECK(a.name == b.name);
    CHECK(a.shape == b.shape);
    if (rwkv7::is_quantisable(a.name)) {
      ++quantised;
      CHECK(b.type == (a.name == "head.weight" ? storage::int8 : storage::int4));
      continue;
    }
    CHECK(a.type == b.type);
    CHECK(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
  }
  CHECK(quantised == file.report.size());
}

TEST_CASE("the report says what was lost") {
  auto model = tiny_model({.V = 5, .C = 64, .layers = 1, .H = 1, .N = 64, .H_kv = 1, .F = 128});
  const quantised_file file(model.file(), dtype::nf4, dtype::nf4);
  const auto to = rwkv7::open_checkpoint(file.path);
  for (const auto& m : file.report) {
    const auto before = elements_of<float>(*model.file().find(m.name)), after = elements_of<float>(*to.find(m.name));
    CHECK(m.relative_l2 == doctest::Approx(relative_l2(after, before)).epsilon(1e-5));
    CHECK(m.worst == doctest::Approx(max_abs(after, before)).epsilon(1e-5));
    CHECK(m.largest == doctest::Approx(max_abs(before, std::vector<float>(before.size()))));
    CHECK(m.before == before.size() * 4);
    CHECK(m.after == rwkv7::quantised_size(dtype::nf4, m.rows, m.columns));
  }
}

TEST_CASE("in 16 bits every weight is the nearest value of the type, and the model runs") {
  auto model = tiny_model({.V = 5, .C = 64, .layers = 2, .H = 1, .N = 64, .H_kv = 1, .F = 128});
  rwkv7::reference_executor reference;
  const auto check = [&]<class Element>(Element) {
    const dtype type = rwkv7::dtype_of<Element>;
    const quantised_file file(model.file(), type, type);
    const auto to = rwkv7::open_checkpoint(file.path);
    for (const auto& m : file.report) {
      const auto before = elements_of<float>(*model.file().find(m.name));
      auto want = before;
      for (float& x : want) x = Element::from_float(x).to_float();
      std::vector<float> after;
      for (const auto x : elements_of<Element>(*to.find(m.name))) after.push_back(x.to_float());
      CHECK(after == want);
      CHECK(m.relative_l2 == doctest::Approx(relative_l2(want, before)).epsilon(1e-5));
      CHECK(m.after == before.size() * 2);
    }
    const auto exact = logits_of<double>(file.path, reference, false);
    for_each_arch([&](auto& exec) { CHECK(relative_l2(logits_of<float>(file.path, exec, true), exact) <= 1e-5); });
  };
  check(rwkv7::bf16{});
  check(rwkv7::f16{});
}

TEST_CASE("other formats get the values, and .safetensors of RWKV-LM's names the same bytes again") {
  auto model = tiny_model({.V = 5, .C = 64, .layers = 2, .H = 1, .N = 64, .H_kv = 1, .F = 128});
  const quantised_file file(model.file(), dtype::int4, dtype::nf4);
  const auto from = rwkv7::open_checkpoint(file.path);
  const temporary_folder folder;
  for (const auto format : {rwkv7::checkpoint_format::safetensors, rwkv7::checkpoint_format::hf,
                            rwkv7::checkpoint_format::pth, rwkv7::checkpoint_format::gguf}) {
    const auto name = folder.file(std::to_string(static_cast<int>(format)));
    CHECK(std::string(write_checkpoint(name, from, format, {}, ignore).message()) == "");
    const auto to = rwkv7::open_checkpoint(name);
    const bool kept = format == rwkv7::checkpoint_format::safetensors;
    if (kept) CHECK(content_of(name) == content_of(file.path));
    for (const auto& tensor : from.tensors)
      if (rwkv7::is_quantisable(tensor.name)) {
        const auto* other = to.find(tensor.name);
        REQUIRE(other);
        CHECK(other->type == (kept ? tensor.type : storage::f32));
        CHECK(same_bits(elements_of<float>(*other), elements_of<float>(tensor)));
      }
  }
}

TEST_CASE("quantise refuses what it cannot do, by name") {
  const rwkv7::model_sizes sizes{.V = 5, .C = 64, .layers = 1, .H = 1, .N = 64, .H_kv = 1, .F = 96};
  auto model = tiny_model(sizes);
  const auto says = [&](const rwkv7::tensor_file& file, dtype type, dtype head) {
    return complaint_of([&] { rwkv7::quantise(file, type, head, ignore); });
  };
  CHECK(says(model.file(), dtype::nf4, dtype::int8) ==
        "rwkv7::quantise: tiny: blocks.0.ffn.value.weight: rwkv7::quant::pack: columns: got 96, want a multiple of 64");
  CHECK(says(model.file(), dtype::int8, dtype::f32) ==
        "rwkv7::quantise: tiny: head.weight: rwkv7::quant::pack: type: got 0, want int8, int8_rows, int4 or nf4");
  auto large = tiny_model(sizes);
  const float most = 65520;  // rounds to infinity
  auto* head = const_cast<std::byte*>(large.file().find("head.weight")->bytes.data());
  std::memcpy(head + 64 * sizeof most, &most, sizeof most);
  CHECK(says(large.file(), dtype::bf16, dtype::bf16) == "nothing");
  CHECK(says(large.file(), dtype::bf16, dtype::f16) ==
        "rwkv7::quantise: tiny: head.weight: row 1: got 65520, want what f16 can hold");
  auto ints = tiny_model(sizes, storage::i32);
  CHECK(says(ints.file(), dtype::int8, dtype::int8) ==
        "rwkv7::quantise: tiny: blocks.0.att.key.weight: got I32 of 2 axes, want a matrix of F32, F16 or BF16");
  const quantised_file file(model.file(), dtype::int8, dtype::int8);
  const auto twice = says(rwkv7::open_checkpoint(file.path), dtype::int8, dtype::int8);
  CHECK(twice.ends_with(": blocks.0.att.key.weight: got INT8 of 2 axes, want a matrix of F32, F16 or BF16"));
}

TEST_CASE("a quantised embedding, vector or low-rank matrix is refused by name") {
  // Every matrix quantised: the first that may not be is named.
  auto model = tiny_model({.V = 5, .C = 64, .layers = 1, .H = 1, .N = 64, .H_kv = 1, .F = 64});
  for (const std::string name : {"emb.weight", "blocks.0.att.r_k", "blocks.0.att.w2"}) {
    auto file = rwkv7::tensor_file{.name = "tiny", .tensors = model.file().tensors};
    std::vector<std::byte> bytes(16 * 64 * 2);
    for (auto& tensor : file.tensors)
      if (tensor.name == name) tensor.type = storage::int8, tensor.bytes = bytes;
    CHECK(complaint_of([&] { language_model<x070, float>::from(std::move(file)); }) ==
          "rwkv7::language_model: tiny: " + name +
              ": dtype: got INT8, want F32, F16 or BF16: only matrices of linear may be quantised");
  }
}

TEST_CASE("what a file says of its quantised matrices is checked") {
  const std::size_t size = rwkv7::quantised_size(dtype::int4, 3, 32);
  const auto says = [&](const std::string& entry, const std::string& type, std::size_t bytes) {
    const nlohmann::json header{{"__metadata__", {{"rwkv7.quantised.m", entry}}},
                                {"m", {{"dtype", type}, {"shape", {bytes}}, {"data_offsets", {0, bytes}}}}};
    return read_result(rwkv7::detail::read_safetensors, "safetensors",
                       safetensors_bytes(header.dump(), std::string(bytes, 'x')));
  };
  const auto good = says("int4 3 32", "U8", size);
  CHECK(good.complaint == "");
  CHECK(good.file.metadata.empty());
  CHECK(good.file.tensors[0].type == storage::int4);
  CHECK(good.file.tensors[0].shape == std::vector<index_t>{3, 32});
  CHECK(says("int3 3 32", "U8", size).complaint == "m: quantised: got 'int3 3 32', want int8, int8_rows, int4 or nf4");
  for (const std::string entry :
       {"int4", "int4 3", "int4 3 ", "int4 3 32 ", "int4 3 32 1", "int4  3 32", "int4 -3 32", "int4 3 33", "int4 3 x",
        "int4 99999999999999999999 32", "int4 3 9223372036854775776"})
    CHECK(says(entry, "U8", size).complaint ==
          "m: quantised: got '" + entry + "', want 'int4 ROWS COLUMNS', columns a multiple of 32");
  CHECK(says("int4 3 32", "U8", size - 1).complaint == "m: bytes: got 287 of U8, want 288 of U8 for int4 3 32");
  CHECK(says("int4 17 32", "U8", size).complaint == "m: bytes: got 288 of U8, want 576 of U8 for int4 17 32");
  CHECK(says("int4 3 32", "I8", size).complaint == "m: bytes: got 288 of I8, want 288 of U8 for int4 3 32");
  const std::string nowhere = R"({"__metadata__":{"rwkv7.quantised.n":"int4 3 32"}})";
  CHECK(read_result(rwkv7::detail::read_safetensors, "safetensors", safetensors_bytes(nowhere, "")).complaint ==
        "n: is said to be quantised, but is not there");
}
