// SPDX-License-Identifier: MIT
/// The cases of tests/golden/wkv7.safetensors.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "support/golden.hpp"
#include "support/recurrence.hpp"

namespace rwkv7_test {

struct golden_case {
  std::string name;
  recurrence given;
  read_policy policy;
  outputs<double> wanted;  // y and the pool of states
};

/// All cases of an operation, "wkv7" or "wkv".
inline std::vector<golden_case> golden_cases(const std::string& operation) {
  const auto file = golden_file("wkv7");
  std::vector<golden_case> all;
  for (const auto& name : file.metadata_names()) {
    const auto info = file.metadata(name);
    if (info["op"] != operation) continue;
    const auto input = [&](const char* which) {
      return info["inputs"].contains(which) ? golden_input(info["inputs"][which]) : std::vector<float>{};
    };
    recurrence p{
        .B = info["B"], .T = info["T"], .H = info["H"], .H_k = info["H_kv"], .H_v = info["H_kv"], .N = info["N"]};
    p.pool = info["pool"];
    p.slots = info["slots"].get<std::vector<std::int32_t>>();
    for (const auto& length : info["lengths"]) {
      if (p.cu.empty()) p.cu = {0};
      p.cu.push_back(p.cu.back() + length.get<std::int32_t>());
    }
    const std::string forms[] = {"factor", "log", "loglog", "logit"};
    for (int form = 0; form < 4; ++form)
      if (info["decay"] == forms[form]) p.form = static_cast<rwkv7::decay_form>(form);
    if (info["decay_offset"] == "six_tenths") p.offset = rwkv7::decay_offset::six_tenths;
    p.r = input("r"), p.w = input("w"), p.k = input("k"), p.v = input("v"), p.a = input("a"), p.b = input("eta");
    for (std::size_t i = 0; i < p.a.size(); ++i) p.b[i] = -(p.a[i] * p.b[i]);
    p.u = input("u");
    p.S = input("S0");
    p.S.resize(static_cast<std::size_t>(p.pool * p.H * p.N * p.N));
    const auto policy = info["read"] == "after"    ? read_policy::after
                        : info["read"] == "before" ? read_policy::before
                                                   : read_policy::before_bonus;
    all.push_back({name, p, policy, {file.get<double>(name + "/y").values, file.get<double>(name + "/S").values}});
  }
  return all;
}

}  // namespace rwkv7_test
