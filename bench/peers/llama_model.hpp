// SPDX-License-Identifier: MIT
/// llama.cpp as a rival: a whole model from a GGUF file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "peers/llama.hpp"

namespace rwkv7_bench {

/// A GGUF file in llama.cpp.
class llama_model_file {
 public:
  llama_model_file(const llama_model_file&) = delete;
  explicit llama_model_file(const std::string& path) : api_(llama()->folder) {
    std::string first;  // error that it names
    api_.llama_log_set(
        [](int level, const char* text, void* user) {
          auto& said = *static_cast<std::string*>(user);
          if (level == 4 && said.empty()) said = text;
        },
        &first);
    model_ = {api_.llama_model_load_from_file(path.c_str(), api_.llama_model_default_params()), {&api_}};
    api_.llama_log_set([](int, const char*, void*) {}, nullptr);
    if (!model_) throw peer_error("llama.cpp: " + path + ": " + first.substr(0, first.find('\n')));
  }
  const llama_api& api() const { return api_; }
  llama_model* get() const { return model_.get(); }

 private:
  struct free {
    const llama_api* api;
    void operator()(llama_model* m) const { api->llama_model_free(m); }
  };
  llama_api api_;
  std::unique_ptr<llama_model, free> model_;
};

/// Writes a GGUF file anew with all large matrices in one type.
inline void quantise_gguf(const std::string& from, const std::string& to, llama_ftype type) {
  const llama_api api(llama()->folder);
  api.llama_log_set([](int, const char*, void*) {}, nullptr);
  auto params = api.llama_model_quantize_default_params();
  params.ftype = type;
  params.pure = true;  // the head, too
  if (api.llama_model_quantize(from.c_str(), to.c_str(), &params) != 0)
    throw peer_error("llama.cpp: " + from + ": cannot be quantised");
}

/// One sequence, on threads of its own.
class llama_sequence {
 public:
  llama_sequence(std::shared_ptr<const llama_model_file> model, int most_tokens, int threads)
      : model_(std::move(model)), threads_(threads) {
    auto params = api().llama_context_default_params();
    params.n_ctx = 4096;  // nothing depends on it: the state has one size
    params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(most_tokens);
    params.n_threads = params.n_threads_batch = threads;
    context_ = {api().llama_init_from_model(model_->get(), params), {&api()}};
    if (!context_) throw peer_error("llama.cpp: no memory for a sequence");
    api().llama_attach_threadpool(context_.get(), threads_.get(), threads_.get());
  }
  /// Back to a zero state.
  void clear() const { api().llama_memory_clear(api().llama_get_memory(context_.get()), true); }
  /// Advances by `count` tokens; afterwards the logits of the last one are there, or of all of them.
  void decode(std::int32_t* tokens, std::int32_t count, bool all_logits = false) const {
    std::vector<std::int8_t> wanted(static_cast<std::size_t>(count), 1);
    if (api().llama_decode(context_.get(), {.n_tokens = count,
                                            .token = tokens,
                                            .embd = nullptr,
                                            .pos = nullptr,
                                            .n_seq_id = nullptr,
                                            .seq_id = nullptr,
                                            .logits = all_logits ? wanted.data() : nullptr}) != 0)
      throw peer_error("llama.cpp: llama_decode failed");
  }
  /// Logits of the i-th token of the last call, counted from the end if negative.
  const float* logits(std::int32_t i) const {
    const float* const row = api().llama_get_logits_ith(context_.get(), i);
    if (!row) throw peer_error("llama.cpp: no logits");
    return row;
  }
  void rest() const { threads_.rest(); }

 private:
  struct free {
    const llama_api* api;
    void operator()(llama_context* c) const { api->llama_free(c); }
  };
  const llama_api& api() const { return model_->api(); }

  std::shared_ptr<const llama_model_file> model_;
  llama_threads threads_;
  std::unique_ptr<llama_context, free> context_;
};

}  // namespace rwkv7_bench
