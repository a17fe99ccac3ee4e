// SPDX-License-Identifier: MIT
// A published checkpoint through perplexity, against the logits of NumPy in float64.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "support/perplexity.hpp"
#include "support/skip.hpp"

TEST_CASE("the perplexity of a prompt is that of its float64 logits") {
  const std::string folder = RWKV7_TEST_DATA_DIR, name = "/tiny-rwkv-7v0-834K";
  if (folder.empty()) return rwkv7_test::skip("RWKV7_TEST_DATA is not set");
  const auto text = nlohmann::json::parse(rwkv7_test::content_of(folder + name + "-expected.json"))
                        .at("long_prompt")
                        .get<std::string>();
  const auto bytes = rwkv7_test::content_of(folder + name + "-long-logits-f64.bin");  // [64, 256]
  CHECK(text.size() == 64);
  CHECK(bytes.size() == 64 * 256 * sizeof(double));
  if (bytes.size() != 64 * 256 * sizeof(double)) return;
  rwkv7_test::score want;
  std::vector<double> logits(64 * 256);
  std::memcpy(logits.data(), bytes.data(), bytes.size());
  for (std::size_t t = 0; t + 1 < text.size(); ++t)
    want.add(std::span(logits).subspan(t * 256, 256), static_cast<unsigned char>(text[t + 1]), 1);
  const rwkv7_test::temporary_file file(text);
  for (const std::string chunk : {"1", "32", "128"}) {
    const auto got =
        rwkv7_test::perplexity_of({"--model", folder + name + "-F32.safetensors"}, file, {"--chunk", chunk});
    got.check(want, 1e-6);
    MESSAGE(got.bits_per_byte,
            " bits per byte; from float64: ", static_cast<double>(want.bits / static_cast<long double>(want.bytes)));
  }
}
