// SPDX-License-Identifier: MIT
/// llama.cpp as a rival: single operators through ggml's CPU back end, on threads of its own.
#pragma once

#include <memory>
#include <vector>

#include "peers/llama_api.hpp"

namespace rwkv7_bench {

/// The libraries, once they are open.
struct llama_peer {
  std::filesystem::path folder;
  std::string wanted_build{};  // of the CPU kernels, a file's name; empty: llama.cpp's choice
  ggml_api ggml{folder};
  ggml_cpu_api cpu{chosen()};

  /// The build of the CPU kernels, named after a processor: "libggml-cpu-zen4.so".
  std::string cpu_build() const { return std::filesystem::path(cpu.cpu.name()).filename().string(); }

 private:
  /// The build that is wanted, or that llama.cpp chooses for this machine, by its own scores.
  library chosen() const {
    ggml.ggml_log_set([](int, const char*, void*) {}, nullptr);
    if (wanted_build.empty())
      ggml.ggml_backend_load_all_from_path(folder.string().c_str());
    else
      ggml.ggml_backend_load((folder / wanted_build).string().c_str());
    ggml_device* const device = ggml.ggml_backend_dev_by_type(0);
    Dl_info where{};
    if (!device || !dladdr(ggml.ggml_backend_reg_get_proc_address(ggml.ggml_backend_dev_backend_reg(device),
                                                                  "ggml_threadpool_new"),
                           &where))
      throw peer_error(folder.string() + ": no CPU back end for this machine");
    return library(where.dli_fname);
  }
};

/// The peer of this run, if one was asked for.
inline std::unique_ptr<const llama_peer>& llama() {
  static std::unique_ptr<const llama_peer> peer;
  return peer;
}

/// ggml's threads, with its own default of polling for work, which keeps them ready between two calls.
class llama_threads {
 public:
  explicit llama_threads(int threads) {
    ggml_threadpool_params params;
    llama()->ggml.ggml_threadpool_params_init(&params, threads);
    pool_.reset(llama()->cpu.ggml_threadpool_new(&params));
  }
  ggml_threadpool* get() const { return pool_.get(); }
  /// Puts them to sleep until the next call.
  void rest() const { llama()->cpu.ggml_threadpool_pause(pool_.get()); }

 private:
  struct free {
    void operator()(ggml_threadpool* pool) const { llama()->cpu.ggml_threadpool_free(pool); }
  };
  std::unique_ptr<ggml_threadpool, free> pool_;
};

/// One operation, or several: a graph of a node each, planned once. Make the inputs, make the results from them with
/// ggml's functions, finish(results), set the inputs, run.
class llama_operation {
 public:
  explicit llama_operation(int threads, std::size_t tensors = 16) : threads_(threads) {
    const auto& ggml = llama()->ggml;
    context_.reset(ggml.ggml_init({tensors * ggml.ggml_tensor_overhead() + ggml.ggml_graph_overhead(), nullptr, true}));
    backend_.reset(llama()->cpu.ggml_backend_cpu_init());
    llama()->cpu.ggml_backend_cpu_set_n_threads(backend_.get(), threads);
    llama()->cpu.ggml_backend_cpu_set_threadpool(backend_.get(), threads_.get());
  }

  ggml_context* context() const { return context_.get(); }
  /// Row-major [c, b, a]: ggml names the fastest axis first.
  ggml_tensor* input(ggml_type type, std::int64_t a, std::int64_t b, std::int64_t c = 1) const {
    return llama()->ggml.ggml_new_tensor_3d(context_.get(), type, a, b, c);
  }
  void finish(ggml_tensor* result) { finish(std::vector{result}); }
  void finish(const std::vector<ggml_tensor*>& results) {
    const auto& ggml = llama()->ggml;
    result_ = results.back();
    ggml_cgraph* const graph = ggml.ggml_new_graph(context_.get());
    for (ggml_tensor* const each : results) ggml.ggml_build_forward_expand(graph, each);
    buffer_.reset(ggml.ggml_backend_alloc_ctx_tensors(context_.get(), backend_.get()));
    plan_ = {ggml.ggml_backend_graph_plan_create(backend_.get(), graph), {backend_.get()}};
    if (!buffer_ || !plan_) throw peer_error("llama.cpp: no memory for an operation");
  }
  template <class Vector>
  void set(ggml_tensor* input, const Vector& values) const {
    llama()->ggml.ggml_backend_tensor_set(input, values.data(), 0, values.size() * sizeof(values[0]));
  }
  void run() const {
    if (llama()->ggml.ggml_backend_graph_plan_compute(backend_.get(), plan_.get()) != 0)
      throw peer_error("llama.cpp: an operation failed");
  }
  /// The last result from element `first` on.
  template <class Vector>
  void get(Vector& values, std::size_t first = 0) const {
    llama()->ggml.ggml_backend_tensor_get(result_, values.data(), first * sizeof(float),
                                          values.size() * sizeof(values[0]));
  }
  void rest() const { threads_.rest(); }

 private:
  struct free {
    void operator()(ggml_context* c) const { llama()->ggml.ggml_free(c); }
    void operator()(ggml_backend* b) const { llama()->ggml.ggml_backend_free(b); }
    void operator()(ggml_buffer* b) const { llama()->ggml.ggml_backend_buffer_free(b); }
  };
  struct free_plan {
    ggml_backend* backend;
    void operator()(ggml_plan* p) const { llama()->ggml.ggml_backend_graph_plan_free(backend, p); }
  };
  llama_threads threads_;
  std::unique_ptr<ggml_backend, free> backend_;
  std::unique_ptr<ggml_context, free> context_;
  std::unique_ptr<ggml_buffer, free> buffer_;
  std::unique_ptr<ggml_plan, free_plan> plan_;
  ggml_tensor* result_ = nullptr;
};

}  // namespace rwkv7_bench
