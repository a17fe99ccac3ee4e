// SPDX-License-Identifier: MIT
/// A language model of whichever variant its file is, found at run time.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <rwkv7/exec/dispatch.hpp>
#include <rwkv7/exec/spin.hpp>
#include <rwkv7/model.hpp>
#include <string>

#include "options.hpp"

namespace examples {

/// The executor of the programs: the best kernels for this machine, on a team that spins.
using program_executor = rwkv7::dispatch_executor<rwkv7::spin_executor>;

/// language_model, with its variant forgotten.
class any_model {
 public:
  using outputs = rwkv7::language_model_outputs<float>;
  using states = rwkv7::carried<float, 2>;
  using tokens = rwkv7::view<const std::int32_t, 2>;

  any_model() = default;
  any_model(const any_model&) = delete;
  any_model& operator=(const any_model&) = delete;
  virtual ~any_model() = default;

  virtual void load_tuned(const std::filesystem::path& path, const rwkv7::view<float, 1>& state) const = 0;
  virtual const rwkv7::model_sizes& sizes() const = 0;
  virtual rwkv7::index_t state_size() const = 0;
  virtual rwkv7::state_format state_format() const = 0;
  virtual std::size_t weights_size() const = 0;
  virtual void pack(std::span<std::byte> memory) = 0;
  virtual std::size_t workspace_size(const rwkv7::sequences& seq) const = 0;
  virtual void forward(program_executor& exec, const rwkv7::sequences& seq, const tokens& ids, const outputs& out,
                       const states& state, rwkv7::workspace memory) const = 0;
  virtual void prefill(program_executor& exec, const tokens& ids, rwkv7::index_t chunk, const outputs& out,
                       const rwkv7::view<float, 2>& state, rwkv7::workspace memory,
                       const std::function<void(rwkv7::index_t)>& after) const = 0;

  /// Opens a checkpoint with what its config.json, `config` if it is not empty else the one beside it, and the options
  /// --variant, --gate, --norm-eps, --rope-theta and --context say.
  static std::unique_ptr<any_model> open(const std::filesystem::path& path, const options& given);
};

}  // namespace examples
