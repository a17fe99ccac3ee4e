// SPDX-License-Identifier: MIT
// What can be done with the state of a model because it is the caller's: kept in a file, branched, taken back by some
// tokens, carried on by other threads or in another precision. The model is small and random; any other would do.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <random>
#include <rwkv7/exec/dispatch.hpp>
#include <rwkv7/exec/threads.hpp>
#include <rwkv7/model.hpp>
#include <span>
#include <string>
#include <vector>

#include "support/random_checkpoint.hpp"

using namespace rwkv7;

constexpr index_t vocabulary = 64, slots = 4;
using text = std::vector<std::int32_t>;

template <class T>
std::int32_t likeliest(const T* logits) {
  return static_cast<std::int32_t>(std::max_element(logits, logits + vocabulary) - logits);
}

// A model with what it needs to run: the states of four sequences, and scratch memory.
template <class T>
struct program {
  language_model<x070, T> model;
  std::vector<T> memory = std::vector<T>(static_cast<std::size_t>(slots * model.state_size()));
  state_pool<T> pool{as_view(memory, {slots, model.state_size()})};
  std::vector<std::byte> scratch = std::vector<std::byte>(model.workspace_size(dense{1, 16}));

  explicit program(const std::filesystem::path& file) : model(language_model<x070, T>::open(file)) {}

  // Feeds tokens to the sequence in `slot`; the logits after each of them. With a ring [1, R, state_size], the states
  // after each of them go there, and the slot stays as it was.
  std::vector<T> feed(auto&& exec, index_t slot, const text& tokens, const view<T, 3>& ring = {}) {
    const auto count = static_cast<index_t>(tokens.size());
    std::vector<T> logits(static_cast<std::size_t>(count * vocabulary));
    auto state = carried<T, 2>::in_place(slice(pool.states().final, 0, slot, 1));
    if (ring) state = {state.initial, {}, {ring}};
    model.forward(exec, dense{1, count}, as_view(tokens, {1, count}),
                  {.logits = as_view(logits, {1, count, vocabulary})}, state, std::span(scratch));
    return logits;
  }
  // The likeliest `count` tokens after those fed.
  text go_on(auto&& exec, index_t slot, std::vector<T> logits, std::size_t count) {
    text found;
    while (true) {
      found.push_back(likeliest(&logits[logits.size() - vocabulary]));
      if (found.size() == count) return found;
      logits = feed(exec, slot, {found.back()});
    }
  }
};

int main() {
  namespace fs = std::filesystem;
  const auto folder = fs::temp_directory_path() / ("rwkv7_states_" + std::to_string(std::random_device{}()));
  fs::create_directory(folder);
  const auto checkpoint = folder / "model.safetensors", saved = folder / "prompt.state";
  examples::write_random_checkpoint(checkpoint, x070, model_weights{},
                                    {.V = vocabulary, .C = 64, .layers = 2, .H = 4, .N = 16, .H_kv = 4, .F = 128});

  int failures = 0;
  const auto show = [&](const char* what, bool good) {
    std::printf("%s: %s\n", what, good ? "yes" : "NO");
    if (!good) ++failures;
  };
  {
    const dispatch_executor<> exec;
    program<float> here(checkpoint);
    const index_t size = here.model.state_size();

    // Run a prompt but for its last token, and keep the state in a file: whoever loads it runs the last token first and
    // has the logits again.
    const text prompt{1, 9, 17, 4, 60, 33, 2, 8, 45}, last{50};
    const auto story = *here.pool.acquire();
    here.feed(exec, story, prompt);
    const std::uint64_t position = prompt.size();
    save_states(saved, state_format_of(here.model), slice(here.pool.states().final, 0, story, 1),
                std::span(&position, 1));

    // To branch is to copy a slot. What one branch hears changes nothing in the other.
    const auto other = *here.pool.branch(story);
    here.feed(exec, other, {5, 5, 5});
    here.pool.release(other);
    const auto expected = here.go_on(exec, story, here.feed(exec, story, last), 12);

    // Load it into a slot of its own, elsewhere: on three threads, and in double.
    const auto resumed = [&](auto& elsewhere, auto&& other_exec) {
      const auto slot = *elsewhere.pool.acquire();
      const auto seen = state_file::open(saved).read(state_format_of(elsewhere.model), 0, elsewhere.pool[slot]);
      return seen == position &&
             elsewhere.go_on(other_exec, slot, elsewhere.feed(other_exec, slot, last), expected.size()) == expected;
    };
    program<double> precise(checkpoint);
    show("loaded and carried on by three threads, the text is the same",
         resumed(here, dispatch_executor(thread_executor(3))));
    show("loaded and carried on in double, the text is the same", resumed(precise, reference_executor{}));

    // Speculative decoding: five guesses in one call, which reads the parameters once and keeps the state after each
    // token. The first two guesses turn out right: the state after the second is copied to where the sequence lives.
    const auto slot = *here.pool.acquire();
    state_file::open(saved).read(state_format_of(here.model), 0, here.pool[slot]);
    const auto before = here.feed(exec, slot, last);
    const text draft{expected[0], expected[1], expected[2] ^ 1, 7, 7};
    std::vector<float> ring(draft.size() * static_cast<std::size_t>(size));
    const auto logits = here.feed(exec, slot, draft, as_view(ring, {1, static_cast<index_t>(draft.size()), size}));
    std::size_t right = 0;
    const float* row = before.data();
    while (right < draft.size() && likeliest(row) == draft[right]) row = &logits[right++ * vocabulary];
    if (right > 0) std::copy_n(&ring[(right - 1) * static_cast<std::size_t>(size)], size, here.pool[slot].data());
    std::printf("of %zu drafted tokens %zu are right, %zu are taken back\n", draft.size(), right, draft.size() - right);
    const text rest(expected.begin() + static_cast<std::ptrdiff_t>(right), expected.end());
    show("after that the text goes on as if they had never been",
         here.go_on(exec, slot, {row, row + vocabulary}, rest.size()) == rest);
  }
  fs::remove_all(folder);
  return failures;
}
