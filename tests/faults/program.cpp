// SPDX-License-Identifier: MIT
// The golden model of four heads of 64, its first sequence in two calls of 17 and 16 tokens, then greedily on. Prints
// how far the logits are from NumPy's; with an argument, also from those of NumPy with the fault of that name.
//
//   0   everything as it should be, to the tolerance of model/golden.cpp
//   1   the logits are off by a hundred times that at least, the greedy text is another, and the last logits of the
//   prompt
//       are those of NumPy with the same fault
//   2   anything else
#include <cstdio>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"

using namespace rwkv7_test;

int main(int argc, char** argv) {
  const golden_model golden("h4n64");
  const auto model = open_golden<rwkv7::x070, float>("h4n64");
  const auto length = golden.size("T"), vocabulary = golden.size("V");
  auto prompt = golden.tokens();
  prompt.resize(count_of(length));
  auto want = golden.values("logits");
  want.resize(count_of(length * vocabulary));

  rwkv7::inline_executor exec;
  state_pool<float> state(model, 1);
  const auto logits = prefill(model, exec, prompt, 17, state);
  const auto text = greedy(model, exec, logits, golden.greedy().size(), state);
  const bool same_text = text == golden.greedy();
  const double distance = relative_l2(logits, want);
  std::printf("logits %.1e relative L2 from NumPy's, %s greedy text:", distance, same_text ? "the same" : "another");
  for (const auto id : text) std::printf(" %d", id);
  std::printf("\n");
  if (argc < 2) return distance <= budget::model && same_text ? 0 : 2;

  const std::vector<float> last(logits.end() - vocabulary, logits.end());
  const double as_planted = relative_l2(last, golden.values(std::string("fault/") + argv[1] + "/logits_last"));
  std::printf("last logits %.1e from NumPy's with this fault\n", as_planted);
  return distance >= budget::planted_fault * budget::model && !same_text && as_planted <= budget::model ? 1 : 2;
}
