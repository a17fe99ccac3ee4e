// SPDX-License-Identifier: MIT
// The C interface gives the bits that the C++ calls give, and turns every error into a status and a text.
#include "../../examples/c_api/rwkv7_c.cpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "support/example_models.hpp"
#include "support/model_call.hpp"
#include "support/program.hpp"

using rwkv7_test::pattern;
using rwkv7_test::run_example;
using rwkv7_test::temporary_file;

namespace {

constexpr index_t B = 2, T = 5, H = 3, N = 16;

struct recurrence {
  std::vector<float> r = operand("r", 0, 1), w, k = operand("k", 0, 1), v = operand("v", 0, 1),
                     a = operand("a", 0, 0.2f), b = operand("b", 0, 0.2f), y = std::vector<float>(r.size()),
                     S = pattern("S", B*H*N*N, 0, 1);

  static std::vector<float> operand(const char* name, float offset, float scale) {
    return pattern(name, B * T * H * N, offset, scale);
  }
  int call(int form) {
    return rwkv7_wkv7(B, T, H, N, r.data(), w.data(), form, k.data(), v.data(), a.data(), b.data(), y.data(), S.data());
  }
};

std::vector<float> logits_of_program(const std::string& path, const std::vector<std::int32_t>& tokens) {
  std::vector<std::string> arguments{path};
  for (const auto token : tokens) arguments.push_back(std::to_string(token));
  const auto run = run_example("c_api_demo", arguments);
  CHECK(run.status == 0);
  CHECK(run.err == "");
  std::vector<float> logits;
  const char* at = run.out.c_str();
  for (char* end; *at; at = end + 1) logits.push_back(std::strtof(at, &end));
  return logits;
}

/// A model that is freed at the end.
struct opened {
  rwkv7_model* model = nullptr;
  explicit opened(const std::string& path) { REQUIRE(rwkv7_model_open(path.c_str(), &model) == RWKV7_OK); }
  ~opened() { rwkv7_model_free(model); }
};

}  // namespace

TEST_CASE("wkv7 through C equals wkv7 to the last bit, for every form of the decay") {
  using decay = rwkv7::decay<float>;
  const struct {
    int form;
    decay (*make)(view<const float, 4>);
    float offset, scale;
  } forms[] = {{RWKV7_DECAY_FACTOR, decay::factor, 0.9f, 0.1f},
               {RWKV7_DECAY_LOG, decay::log, -0.2f, 0.2f},
               {RWKV7_DECAY_LOGLOG, decay::loglog, -3, 1},
               {RWKV7_DECAY_LOGIT, [](view<const float, 4> x) { return decay::logit(x); }, 0, 2}};
  for (const auto& f : forms) {
    CAPTURE(f.form);
    recurrence c, cpp;
    c.w = cpp.w = recurrence::operand("w", f.offset, f.scale);
    CHECK(c.call(f.form) == RWKV7_OK);
    const auto in = [](const std::vector<float>& x) { return view<const float, 4>(x.data(), {B, T, H, N}); };
    rwkv7::wkv7(
        rwkv7::inline_executor{}, rwkv7::dense{B, T},
        rwkv7::wkv7_inputs<float>{
            .r = in(cpp.r), .w = f.make(in(cpp.w)), .k = in(cpp.k), .v = in(cpp.v), .a = in(cpp.a), .b = in(cpp.b)},
        view<float, 4>(cpp.y.data(), {B, T, H, N}),
        rwkv7::state<float>::in_place(view<float, 4>(cpp.S.data(), {B, H, N, N})));
    CHECK(c.y == cpp.y);
    CHECK(c.S == cpp.S);
    CHECK(c.S != recurrence().S);
  }
}

TEST_CASE("wkv7 without a state starts from zeros") {
  recurrence with, without;
  with.w = without.w = recurrence::operand("w", 0.9f, 0.1f);
  with.S.assign(with.S.size(), 0.0f);
  CHECK(with.call(RWKV7_DECAY_FACTOR) == RWKV7_OK);
  CHECK(rwkv7_wkv7(B, T, H, N, without.r.data(), without.w.data(), RWKV7_DECAY_FACTOR, without.k.data(),
                   without.v.data(), without.a.data(), without.b.data(), without.y.data(), nullptr) == RWKV7_OK);
  CHECK(with.y == without.y);
}

TEST_CASE("a model through C equals the model to the last bit, mapped and packed") {
  const temporary_file file(rwkv7_test::small_checkpoint());
  auto cpp = rwkv7::language_model<>::open(file.path());
  const auto tokens = rwkv7_test::some_tokens("tokens", B * T, cpp.sizes().V);
  rwkv7::inline_executor exec;
  std::vector<std::byte> memory(cpp.weights_size());

  const opened c(file.path().string());
  CHECK(rwkv7_model_vocabulary(c.model) == cpp.sizes().V);
  CHECK(rwkv7_model_state_size(c.model) == cpp.state_size());
  CHECK(rwkv7_model_workspace_size(c.model, B, T) == cpp.workspace_size(rwkv7::dense{B, T}));
  for (const bool packed : {false, true}) {
    CAPTURE(packed);
    if (packed) {
      cpp.pack(memory);
      for (int twice = 0; twice < 2; ++twice) CHECK(rwkv7_model_pack(c.model) == RWKV7_OK);
    }
    rwkv7_test::state_pool<float> state(cpp, B);
    const auto want = rwkv7_test::forward(cpp, exec, rwkv7::dense{B, T}, tokens, state.in_place());
    std::vector<float> last(want.last.size()), logits(want.logits.size()), S(state.values.size());
    std::vector<std::byte> scratch(rwkv7_model_workspace_size(c.model, B, T));
    CHECK(rwkv7_model_forward(c.model, B, T, tokens.data(), last.data(), logits.data(), S.data(), scratch.data(),
                              scratch.size()) == RWKV7_OK);
    CHECK(last == want.last);
    CHECK(logits == want.logits);
    CHECK(S == state.values);
    // Nothing but the last logits, from zero.
    last.assign(last.size(), 0);
    CHECK(rwkv7_model_forward(c.model, B, T, tokens.data(), last.data(), nullptr, nullptr, scratch.data(),
                              scratch.size()) == RWKV7_OK);
    CHECK(last == want.last);
  }
}

TEST_CASE("a C program gets the same logits") {
  const temporary_file file(rwkv7_test::small_checkpoint());
  auto cpp = rwkv7::language_model<>::open(file.path());
  const rwkv7_test::packed_parameters parameters(cpp);  // as the program's
  const auto tokens = rwkv7_test::some_tokens("program", 7, cpp.sizes().V);
  rwkv7_test::state_pool<float> state(cpp, 1);
  rwkv7::inline_executor exec;
  CHECK(logits_of_program(file.path().string(), tokens) ==
        rwkv7_test::forward(cpp, exec, rwkv7::dense{1, 7}, tokens, state.in_place()).last);
}

TEST_CASE("the C program runs one head, and reports what it cannot open") {
  CHECK(run_example("c_api_demo").out ==
        std::string("rwkv7 ") + rwkv7_version() + ": y = 1 2 3, half of what was written\n");
  const auto missing = run_example("c_api_demo", {"no such file", "1"});
  CHECK(missing.status == 1);
  CHECK(missing.err.find("no such file") != std::string::npos);
}

TEST_CASE("errors are a status and a text, and nothing is written") {
  recurrence c;
  c.w = recurrence::operand("w", 0.9f, 0.1f);
  const auto untouched = c;
  CHECK(rwkv7_wkv7(B, T, H, N, c.r.data(), c.w.data(), RWKV7_DECAY_FACTOR, nullptr, c.v.data(), c.a.data(), c.b.data(),
                   c.y.data(), c.S.data()) == RWKV7_INVALID_ARGUMENT);
  CHECK(std::string(rwkv7_last_error()) == "rwkv7::wkv7: k: not given");
  CHECK(c.call(4) == RWKV7_INVALID_ARGUMENT);
  CHECK(std::string(rwkv7_last_error()) == "rwkv7_wkv7: w_is: got 4, want an rwkv7_decay");
  CHECK(rwkv7_wkv7(-1, T, H, N, c.r.data(), c.w.data(), RWKV7_DECAY_FACTOR, c.k.data(), c.v.data(), c.a.data(),
                   c.b.data(), c.y.data(), c.S.data()) == RWKV7_INVALID_ARGUMENT);
  CHECK(c.y == untouched.y);
  CHECK(c.S == untouched.S);

  auto* model = reinterpret_cast<rwkv7_model*>(&c);  // any pointer that is not null
  CHECK(rwkv7_model_open("no such file", &model) == RWKV7_INVALID_ARGUMENT);
  CHECK(model == nullptr);
  CHECK(std::string(rwkv7_last_error()).find("no such file") != std::string::npos);
  CHECK(rwkv7_model_open(nullptr, &model) == RWKV7_INVALID_ARGUMENT);
  CHECK(std::string(rwkv7_last_error()) == "rwkv7_model_open: path: not given");
  CHECK(rwkv7_model_open("x", nullptr) == RWKV7_INVALID_ARGUMENT);
  CHECK(rwkv7_model_pack(nullptr) == RWKV7_INVALID_ARGUMENT);
  CHECK(rwkv7_model_vocabulary(nullptr) == 0);
  CHECK(rwkv7_model_state_size(nullptr) == 0);
  CHECK(rwkv7_model_workspace_size(nullptr, 1, 1) == 0);
  CHECK(rwkv7_model_forward(nullptr, 1, 1, nullptr, nullptr, nullptr, nullptr, nullptr, 0) == RWKV7_INVALID_ARGUMENT);
  rwkv7_model_free(nullptr);

  const temporary_file file(rwkv7_test::small_checkpoint());
  const opened m(file.path().string());
  CHECK(rwkv7_model_workspace_size(m.model, -1, 1) == 0);
  std::vector<float> last(static_cast<std::size_t>(rwkv7_model_vocabulary(m.model)), -1.0f);
  std::vector<std::byte> scratch(rwkv7_model_workspace_size(m.model, 1, 1));
  const std::int32_t good = 1, bad = static_cast<std::int32_t>(last.size());
  CHECK(rwkv7_model_forward(m.model, 1, 1, &bad, last.data(), nullptr, nullptr, scratch.data(), scratch.size()) ==
        RWKV7_INVALID_ARGUMENT);
  CHECK(std::string(rwkv7_last_error()).find("tokens[0, 0]") != std::string::npos);
  CHECK(rwkv7_model_forward(m.model, 1, 1, &good, last.data(), nullptr, nullptr, scratch.data(), scratch.size() - 1) ==
        RWKV7_INVALID_ARGUMENT);
  CHECK(rwkv7_model_forward(m.model, 1, 1, &good, last.data(), nullptr, nullptr, nullptr, scratch.size()) ==
        RWKV7_INVALID_ARGUMENT);
  CHECK(rwkv7_model_forward(m.model, 1, -1, &good, last.data(), nullptr, nullptr, scratch.data(), scratch.size()) ==
        RWKV7_INVALID_ARGUMENT);
  CHECK(last == std::vector<float>(last.size(), -1.0f));
}
