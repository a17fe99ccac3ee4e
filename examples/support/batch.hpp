// SPDX-License-Identifier: MIT
/// Many prompts at once, over a few state slots.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <fstream>
#include <iterator>
#include <optional>
#include <rwkv7/model.hpp>
#include <span>
#include <string>
#include <vector>

#include "options.hpp"

namespace examples {

using token_list = std::vector<std::int32_t>;

/// The lines of a file, none of them empty.
inline std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) throw bad_input(path + ": line " + std::to_string(lines.size() + 1) + " is empty");
    lines.push_back(line);
  }
  if (lines.empty()) throw bad_input(path + ": has no lines, or cannot be read");
  return lines;
}

/// A text on one line: backslash, line feed and carriage return become \\, \n and \r.
inline std::string escaped(const std::string& text) {
  std::string line;
  for (const char c : text) line += c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\r' ? "\\r" : std::string(1, c);
  return line;
}

struct batch_settings {
  rwkv7::index_t n, chunk, slots;
  std::optional<std::int32_t> end;  // the token after which nothing follows, and which is not told
  rwkv7::sampler_settings sampling;
};

/// Continues every prompt by n tokens or up to the end, `slots` prompts at a time, and calls done(tokens) for each in
/// the order of the prompts, as soon as it and all before it are complete.
///
/// A prompt waits for a slot, is fed `chunk` tokens per call, then gives one token per call until it is complete and
/// leaves its slot to the next, whatever the others are doing: one call of the model serves them all. Each gives the
/// tokens it would give alone. `model` is a language_model or an any_model. `initial` [state_size()] is where all
/// begin; absent: zeros.
template <class Model, class Exec, class Done>
void continue_all(const Model& model, Exec& exec, const std::vector<token_list>& prompts,
                  const batch_settings& settings, const rwkv7::view<const float, 1>& initial, Done done) {
  using rwkv7::index_t;
  struct sequence {
    std::size_t prompt;
    std::int32_t slot;
    rwkv7::sampler choose;
    index_t fed = 0;
    token_list text{};
  };
  const index_t V = model.sizes().V, size = model.state_size();
  const index_t slots = std::min(settings.slots, static_cast<index_t>(prompts.size()));
  std::vector<float> states(static_cast<std::size_t>(slots * size)), last(static_cast<std::size_t>(slots * V));
  rwkv7::state_pool<float> pool(rwkv7::as_view(states, {slots, size}));
  std::vector<std::byte> scratch;
  std::deque<sequence> active;
  std::vector<std::optional<token_list>> complete(prompts.size());

  for (std::size_t next = 0, told = 0; told < prompts.size();) {
    while (next < prompts.size() && pool.available() > 0) {
      active.push_back({next++, *pool.acquire(), rwkv7::sampler(V, settings.sampling)});
      if (initial) std::copy_n(initial.data(), size, pool[active.back().slot].data());
    }
    token_list tokens, cu_seqlens{0}, state_indices;
    for (auto& s : active) {
      const auto& prompt = prompts[s.prompt];
      const index_t given = static_cast<index_t>(prompt.size()), count = std::min(settings.chunk, given - s.fed);
      if (count > 0)
        std::copy_n(prompt.begin() + s.fed, count, std::back_inserter(tokens));
      else
        tokens.push_back(s.text.back());
      s.fed += std::max(count, index_t{0});
      cu_seqlens.push_back(static_cast<std::int32_t>(tokens.size()));
      state_indices.push_back(s.slot);
    }
    const rwkv7::packed sequences{cu_seqlens, state_indices};
    scratch.resize(std::max(scratch.size(), model.workspace_size(sequences)));
    const auto count = static_cast<index_t>(active.size());
    model.forward(exec, sequences, rwkv7::as_view(tokens, {1, static_cast<index_t>(tokens.size())}),
                  {.last = {last.data(), {count, V}}}, pool.states(), std::span(scratch));

    for (index_t i = 0; i < count; ++i) {
      auto& s = active[static_cast<std::size_t>(i)];
      if (s.fed < static_cast<index_t>(prompts[s.prompt].size())) continue;
      const auto row =
          std::span<const float>(last).subspan(static_cast<std::size_t>(i * V), static_cast<std::size_t>(V));
      if (settings.n > 0) s.text.push_back(s.choose.sample(row));
      const bool ended = settings.end && settings.n > 0 && s.text.back() == *settings.end;
      if (ended) s.text.pop_back();
      if (!ended && static_cast<index_t>(s.text.size()) < settings.n) continue;
      pool.release(s.slot);
      complete[s.prompt] = std::move(s.text);
    }
    std::erase_if(active, [&](const sequence& s) { return complete[s.prompt].has_value(); });
    for (; told < prompts.size() && complete[told]; ++told) done(*complete[told]);
  }
}

}  // namespace examples
