// SPDX-License-Identifier: MIT
// A published checkpoint through generate, against the logits published with it.
#include <doctest/doctest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "support/compare.hpp"
#include "support/program.hpp"
#include "support/skip.hpp"

using rwkv7_test::content_of;

TEST_CASE("the last logits of a prompt are the published ones") {
  const std::string folder = RWKV7_TEST_DATA_DIR;
  if (folder.empty()) return rwkv7_test::skip("RWKV7_TEST_DATA is not set");
  const auto expected = nlohmann::json::parse(content_of(folder + "/tiny-rwkv-7v0-834K-expected.json"));
  const auto want = expected.at("logits_last_expected_rwkvcpp").get<std::vector<double>>();

  const rwkv7_test::temporary_folder out;
  const auto run = rwkv7_test::run_example(
      "generate", {"--model", folder + "/tiny-rwkv-7v0-834K-F32.safetensors", "--prompt",
                   expected.at("prompt_bytes").get<std::string>(), "-n", "0", "--logits-out", out.file("logits")});
  CHECK(run.status == 0);
  CHECK(run.out == "");
  const auto content = content_of(out.file("logits"));
  CHECK(content.size() == 3 * 256 * sizeof(float));
  std::vector<float> last(256);
  if (content.size() >= 256 * sizeof(float))
    std::memcpy(last.data(), content.data() + content.size() - 256 * sizeof(float), 256 * sizeof(float));
  const double worst = rwkv7_test::max_abs(last, want);
  MESSAGE("largest difference ", worst);
  CHECK(worst <= 1.5e-6);  // float32 NumPy: 4.8e-7; a decay mix of zero, the least of the plausible faults: 1.9e-6
}
