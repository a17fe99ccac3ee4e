// SPDX-License-Identifier: MIT
// rwkv7-test: not sanitized
// forward asks for no memory, whatever it is asked for.
#include <doctest/doctest.h>

#include <functional>

#include "rwkv7/exec/bulk.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/model/language_model.hpp"
#include "support/allocation_counter.hpp"
#include "support/golden_model.hpp"
#include "support/model_call.hpp"
#include "support/thread_team.hpp"

using namespace rwkv7_test;
using rwkv7::dense;
using rwkv7::packed;
using rwkv7::x070;

namespace {

template <class Exec>
void check_no_allocation(Exec& exec, const std::string& name) {
  const auto model = open_golden<x070, float>(name);
  const auto vocabulary = model.sizes().V;
  const std::vector<std::int32_t> cu = {0, 0, 5, 40}, slots = {2, 0, 1};
  const auto tokens = some_tokens("allocations", 40, vocabulary);
  std::vector<float> logits(count_of(40 * vocabulary)), last(count_of(3 * vocabulary));
  state_pool<float> state(model, 3);
  const auto in_place = state.in_place();

  const auto check = [&](const sequences& seq) {
    std::vector<std::byte> memory(model.workspace_size(seq));
    const auto run = [&] {
      model.forward(exec, seq, view<const std::int32_t, 2>(tokens.data(), {seq.batch(), seq.tokens()}),
                    {.logits = view<float, 3>(logits.data(), {seq.batch(), seq.tokens(), vocabulary}),
                     .last = view<float, 2>(last.data(), {seq.count(), vocabulary})},
                    in_place, rwkv7::workspace(memory));
    };
    run();  // lazy symbols are bound, threads have started
    {
      const allocation_counter::armed counting;
      run();
    }
    CHECK(allocation_counter::new_calls() == 0);
    CHECK(allocation_counter::malloc_calls() == 0);
  };
  check(dense{1, 1});
  check(dense{2, 20});
  check(packed{cu, slots});
}

}  // namespace

TEST_CASE("nothing is allocated by forward on a pool of threads") {
  thread_team team(2);
  rwkv7::bulk_executor exec(3, [&](index_t n, auto& task) { team.parallel_for(n, std::ref(task)); });
  check_no_allocation(exec, "h4n64");
}

TEST_CASE("nothing is allocated by forward on the reference executor") {
  rwkv7::reference_executor exec;
  check_no_allocation(exec, "n16");
}

TEST_CASE("nothing is allocated before a refused call reports") {
  const auto model = open_golden<x070, float>("n16");
  const std::vector<std::int32_t> tokens = {61};
  std::vector<std::byte> memory(model.workspace_size(dense{1, 1}));
  bool refused = false;
  {
    const allocation_counter::armed counting;
    refused = static_cast<bool>(model.validate_forward(dense{1, 1}, view<const std::int32_t, 2>(tokens.data(), {1, 1}),
                                                       {}, {}, rwkv7::workspace(memory)));
  }
  CHECK(refused);
  CHECK(allocation_counter::new_calls() + allocation_counter::malloc_calls() == 0);
}
