// SPDX-License-Identifier: MIT
// Which variant a file is: told by its config and its tensors, never guessed.
#include "rwkv7/model/detect_variant.hpp"

#include <doctest/doctest.h>

#include "support/golden_model.hpp"
#include "support/hybrid_model.hpp"
#include "support/refused.hpp"

using namespace rwkv7_test;
using rwkv7::model_config;
using rwkv7::variant;

namespace {

struct detected {
  variant value{};
  std::string complaint{};
};

detected detect(const std::vector<file_tensor>& tensors, const model_config& config) {
  const temporary_file file(safetensors_bytes(tensors));
  const auto open = rwkv7::open_checkpoint(file.path());
  detected result;
  const std::string said = rwkv7::detect_variant(open, config, result.value).message();
  const auto start = "rwkv7::detect_variant: " + rwkv7::detail::shown(file.path()) + ": ";
  result.complaint = said.starts_with(start) ? said.substr(start.size()) : said;
  return result;
}
detected detect(const char* golden, const model_config& config = {}) {
  return detect(family_case(golden).checkpoint(), config);
}
variant without_norm(variant v) {
  v.qk_norm = false;
  return v;
}
variant arwkv_of(rwkv7::readout_norm norm, rwkv7::gate_form gate) {
  variant v = rwkv7::arwkv;
  v.norm = norm, v.gate = gate;
  return v;
}

}  // namespace

TEST_CASE("tensors tell what only one variant has") {
  using namespace rwkv7;
  CHECK(detect(golden_model("n16").checkpoint(), {}).value == x070);
  CHECK(detect("cxa073").value == cxa073);
  CHECK(detect("cxa075").value == cxa075);
  CHECK(detect("cxa079").value == cxa079);
  CHECK(detect("hxa079_layer_0").value == without_norm(cxa079));  // norms of attention layers do not count
  CHECK(detect("hxa079_window").value == without_norm(cxa079));
  CHECK(detect("hxa07a").value == without_norm(hxa07a));
  CHECK(detect("rad_rwkv7").value == rad_rwkv7);
  CHECK(detect("arwkv_7b").value == arwkv);
  CHECK(detect("arwkv_no_gate").value == arwkv_of(readout_norm::group_norm, gate_form::none));
}

TEST_CASE("what several variants have in common is a complaint until the config says which it is") {
  using namespace rwkv7;
  const std::string same = "rwkv_architecture: is not given: cxa076, cxa076r and cxa078 have the same tensors";
  for (const char* name : {"cxa076", "cxa076r", "cxa077", "hxa078"}) CHECK(detect(name).complaint == same);
  for (const char* name : {"hxa07b", "hxa07c"})
    CHECK(detect(name).complaint == "rwkv_architecture: is not given: hxa07b and hxa07c have the same tensors");
  CHECK(detect("cxa076r", {.architecture = "cxa076"}).value == cxa076r);
  CHECK(detect("cxa076r", {.architecture = "CXA076r"}).value == cxa076r);
  CHECK(detect("cxa077", {.architecture = "cxa077"}).value == cxa078);
  CHECK(detect("hxa078", {.architecture = "hxa078"}).value == cxa078);
  CHECK(detect("hxa07b", {.architecture = "hxa07b"}).value == hxa07b);
  CHECK(detect("hxa07c", {.architecture = "hxa07c"}).value == hxa07c);
  CHECK(detect("cxa079", {.architecture = "cxa080"}).complaint ==
        "rwkv_architecture: got cxa080, want x070, cxa073 to cxa079, hxa078 to hxa07c, arwkv or rad_rwkv7");
}

TEST_CASE("the gate's form is told by no tensor, and is never guessed") {
  using namespace rwkv7;
  CHECK(detect("cxa076", {.architecture = "cxa076"}).complaint ==
        "rwkv_gate: is not given: a cxa076's tensors do not tell sigmoid from one_plus_sigmoid");
  CHECK(detect("cxa076", {.architecture = "cxa076", .gate = "sigmoid"}).value == cxa076);
  CHECK(detect("cxa076", {.architecture = "cxa076", .gate = "one_plus_sigmoid"})
            .complaint.starts_with("rwkv_gate: got one_plus_sigmoid, want sigmoid"));
  CHECK(detect("arwkv").complaint ==
        "rwkv_gate: is not given: an ARWKV's tensors do not tell sigmoid from one_plus_sigmoid");
  CHECK(detect("arwkv", {.gate = "sigmoid"}).value == arwkv_of(readout_norm::group_norm, gate_form::sigmoid));
  CHECK(detect("arwkv_one_plus", {.gate = "one_plus_sigmoid"}).value ==
        arwkv_of(readout_norm::none, gate_form::one_plus_sigmoid));
  CHECK(detect("cxa079", {.gate = "one_plus_sigmoid"}).complaint ==
        "rwkv_gate: got one_plus_sigmoid, which is not the gate of cxa079");
  CHECK(detect("cxa079", {.gate = "sigmoid"}).value == cxa079);
  CHECK(detect("arwkv", {.gate = "silu"}).complaint == "rwkv_gate: got silu, want sigmoid or one_plus_sigmoid");
}

TEST_CASE("a config that contradicts the tensors is refused") {
  CHECK(detect("cxa079", {.qk_norm = false}).complaint == "enable_qk_norm: got false, but there are tensors ln_r");
  CHECK(detect("hxa079_window", {.qk_norm = true}).complaint ==
        "enable_qk_norm: got true, but there is no tensor ln_r");
}

TEST_CASE("a value known at run time finds the code compiled for it") {
  int found = 0;
  const auto find = [&](const variant& v) {
    return rwkv7::with_variant<rwkv7::x070, rwkv7::cxa076, rwkv7::cxa079>(v, [&]<variant V>() {
      found = V == rwkv7::cxa076 ? 2 : V == rwkv7::cxa079 ? 3 : 1;
    });
  };
  CHECK(find(rwkv7::cxa076));
  CHECK(found == 2);
  CHECK_FALSE(find(rwkv7::hxa07c));
  CHECK(found == 2);
}
