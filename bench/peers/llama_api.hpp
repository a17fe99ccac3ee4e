// SPDX-License-Identifier: MIT
/// What the benchmark calls of llama.cpp, in the build that the npm package @node-llama-cpp/linux-x64@3.22.1 ships:
/// our own declarations, true for exactly the versions below, which are asked for when the libraries are opened. One
/// command fetches it:
///
///   npm pack @node-llama-cpp/linux-x64@3.22.1 && tar -xzf node-llama-cpp-linux-x64-3.22.1.tgz
///
/// and --peer_llama=package/bins/linux-x64 uses it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "peers/library.hpp"

namespace rwkv7_bench {

struct ggml_context;
struct ggml_tensor;
struct ggml_cgraph;
struct ggml_backend;
struct ggml_buffer;
struct ggml_device;
struct ggml_registration;
struct ggml_threadpool;
struct ggml_plan;
struct llama_model;
struct llama_context;
struct llama_memory;

enum class ggml_type : int { f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, bf16 = 30 };

struct ggml_init_params {
  std::size_t mem_size;
  void* mem_buffer;
  bool no_alloc;
};

struct ggml_threadpool_params {
  bool cpumask[512];
  int n_threads, prio;
  std::uint32_t poll;
  bool strict_cpu, paused;
};

using ggml_log = void(int level, const char* text, void* user);

/// Operators: libggml-base, and libggml, which chooses the build of the CPU kernels for this machine.
struct ggml_api {
  library base, registry;

  explicit ggml_api(const std::filesystem::path& folder)
      : base(folder / "libggml-base.so", {{"ggml_version", "0.25.1"}, {"ggml_commit", "0ad4a86"}}),
        registry(folder / "libggml.v0.5.0.so") {
    const auto check_type = [&](ggml_type t, const std::string& name, std::size_t size) {
      if (ggml_type_name(t) != name || ggml_type_size(t) != size)
        throw peer_error(base.name() + ": type " + std::to_string(static_cast<int>(t)) + ": got " + ggml_type_name(t) +
                         " of " + std::to_string(ggml_type_size(t)) + " bytes, want " + name + " of " +
                         std::to_string(size));
    };
    check_type(ggml_type::f32, "f32", 4);
    check_type(ggml_type::f16, "f16", 2);
    check_type(ggml_type::bf16, "bf16", 2);
    check_type(ggml_type::q4_0, "q4_0", 18);
    check_type(ggml_type::q8_0, "q8_0", 34);
  }

  function<const char*(ggml_type)> ggml_type_name{base, "ggml_type_name"};
  function<std::size_t(ggml_type)> ggml_type_size{base, "ggml_type_size"};
  function<void(ggml_log*, void* user)> ggml_log_set{base, "ggml_log_set"};

  function<std::size_t()> ggml_tensor_overhead{base, "ggml_tensor_overhead"};
  function<std::size_t()> ggml_graph_overhead{base, "ggml_graph_overhead"};
  function<ggml_context*(ggml_init_params)> ggml_init{base, "ggml_init"};
  function<void(ggml_context*)> ggml_free{base, "ggml_free"};
  function<ggml_tensor*(ggml_context*, ggml_type, std::int64_t, std::int64_t, std::int64_t)> ggml_new_tensor_3d{
      base, "ggml_new_tensor_3d"};
  function<ggml_tensor*(ggml_context*, ggml_tensor* weight, ggml_tensor* x)> ggml_mul_mat{base, "ggml_mul_mat"};
  function<ggml_tensor*(ggml_context*, ggml_tensor* r, ggml_tensor* w, ggml_tensor* k, ggml_tensor* v, ggml_tensor* a,
                        ggml_tensor* b, ggml_tensor* state)>
      ggml_rwkv_wkv7{base, "ggml_rwkv_wkv7"};
  function<ggml_cgraph*(ggml_context*)> ggml_new_graph{base, "ggml_new_graph"};
  function<void(ggml_cgraph*, ggml_tensor*)> ggml_build_forward_expand{base, "ggml_build_forward_expand"};
  function<void(ggml_threadpool_params*, int threads)> ggml_threadpool_params_init{base, "ggml_threadpool_params_init"};

  function<ggml_buffer*(ggml_context*, ggml_backend*)> ggml_backend_alloc_ctx_tensors{base,
                                                                                      "ggml_backend_alloc_ctx_tensors"};
  function<void(ggml_buffer*)> ggml_backend_buffer_free{base, "ggml_backend_buffer_free"};
  function<void(ggml_tensor*, const void*, std::size_t offset, std::size_t size)> ggml_backend_tensor_set{
      base, "ggml_backend_tensor_set"};
  function<void(const ggml_tensor*, void*, std::size_t offset, std::size_t size)> ggml_backend_tensor_get{
      base, "ggml_backend_tensor_get"};
  function<ggml_plan*(ggml_backend*, ggml_cgraph*)> ggml_backend_graph_plan_create{base,
                                                                                   "ggml_backend_graph_plan_create"};
  function<void(ggml_backend*, ggml_plan*)> ggml_backend_graph_plan_free{base, "ggml_backend_graph_plan_free"};
  function<int(ggml_backend*, ggml_plan*)> ggml_backend_graph_plan_compute{base, "ggml_backend_graph_plan_compute"};
  function<void(ggml_backend*)> ggml_backend_free{base, "ggml_backend_free"};
  function<ggml_registration*(ggml_device*)> ggml_backend_dev_backend_reg{base, "ggml_backend_dev_backend_reg"};
  function<void*(ggml_registration*, const char* name)> ggml_backend_reg_get_proc_address{
      base, "ggml_backend_reg_get_proc_address"};

  function<void(const char* folder)> ggml_backend_load_all_from_path{registry, "ggml_backend_load_all_from_path"};
  function<ggml_registration*(const char* file)> ggml_backend_load{registry, "ggml_backend_load"};
  function<ggml_device*(int type)> ggml_backend_dev_by_type{registry, "ggml_backend_dev_by_type"};  // 0: CPU
};

/// The CPU kernels, one library for each level of instruction sets.
struct ggml_cpu_api {
  library cpu;

  function<ggml_backend*()> ggml_backend_cpu_init{cpu, "ggml_backend_cpu_init"};
  function<void(ggml_backend*, int)> ggml_backend_cpu_set_n_threads{cpu, "ggml_backend_cpu_set_n_threads"};
  function<void(ggml_backend*, ggml_threadpool*)> ggml_backend_cpu_set_threadpool{cpu,
                                                                                  "ggml_backend_cpu_set_threadpool"};
  function<ggml_threadpool*(ggml_threadpool_params*)> ggml_threadpool_new{cpu, "ggml_threadpool_new"};
  function<void(ggml_threadpool*)> ggml_threadpool_free{cpu, "ggml_threadpool_free"};
  function<void(ggml_threadpool*)> ggml_threadpool_pause{cpu, "ggml_threadpool_pause"};
};

struct llama_model_params {
  void *devices, *tensor_buft_overrides;
  std::int32_t n_gpu_layers;
  int split_mode, load_mode, lazy_mode;
  std::int32_t main_gpu;
  const float* tensor_split;
  void *progress_callback, *progress_callback_user_data;
  const void* kv_overrides;
  bool vocab_only, check_tensors, use_extra_bufts, no_host, no_alloc, load_mtp;
};

struct llama_context_params {
  std::uint32_t n_ctx, n_batch, n_ubatch, n_seq_max, n_rs_seq, n_outputs_max, n_outputs_max_per_seq;
  std::int32_t n_threads, n_threads_batch;
  int ctx_type, rope_scaling_type, pooling_type, attention_type, flash_attn_type;
  float rope_freq_base, rope_freq_scale, yarn_ext_factor, yarn_attn_factor, yarn_beta_fast, yarn_beta_slow;
  std::uint32_t yarn_orig_ctx;
  float defrag_thold;
  void *cb_eval, *cb_eval_user_data;
  ggml_type type_k, type_v;
  void *abort_callback, *abort_callback_data;
  bool embeddings, offload_kqv, no_perf, op_offload, swa_full, kv_unified;
  void* samplers;
  std::size_t n_samplers;
  llama_context* ctx_other;
};

/// Types that llama.cpp makes models of; "f32" is the checkpoint's own.
enum class llama_ftype : int { f16 = 1, q4_0 = 2, q8_0 = 7, bf16 = 32 };

struct llama_model_quantize_params {
  std::int32_t nthread;
  llama_ftype ftype;
  int output_tensor_type, token_embedding_type;  // 43: by ftype
  bool allow_requantize, quantize_output_tensor, only_copy, pure, keep_split, dry_run;
  void *imatrix, *kv_overrides, *tensor_types, *prune_layers;
  int more[2];
};

struct llama_batch {
  std::int32_t n_tokens;
  std::int32_t* token;
  float* embd;
  std::int32_t *pos, *n_seq_id, **seq_id;
  std::int8_t* logits;  // which tokens' logits are wanted; null: the last one's
};

/// Whole models: libllama.
struct llama_api {
  library llama;

  explicit llama_api(const std::filesystem::path& folder)
      : llama(folder / "libllama.v0.5.0.so", {{"llama_version", "0.5.0-dev"}}) {
    const auto m = llama_model_default_params();
    const auto c = llama_context_default_params();
    const auto q = llama_model_quantize_default_params();
    if (q.ftype != llama_ftype::q8_0 || q.output_tensor_type != 43 || !q.quantize_output_tensor || q.pure || q.imatrix)
      throw peer_error(llama.name() + ": its parameters for quantising are not laid out as in version 0.5.0-dev");
    if (m.n_gpu_layers != -1 || !m.use_extra_bufts || m.load_mtp || c.n_ctx != 512 || c.n_ubatch != 512 ||
        c.yarn_beta_slow != -1.0f || c.type_v != ggml_type::f16 || c.kv_unified || c.n_samplers || c.ctx_other)
      throw peer_error(llama.name() + ": its parameters are not laid out as in version 0.5.0-dev");
  }

  function<void(ggml_log*, void* user)> llama_log_set{llama, "llama_log_set"};
  function<llama_model_params()> llama_model_default_params{llama, "llama_model_default_params"};
  function<llama_context_params()> llama_context_default_params{llama, "llama_context_default_params"};
  function<llama_model_quantize_params()> llama_model_quantize_default_params{llama,
                                                                              "llama_model_quantize_default_params"};
  function<std::uint32_t(const char* from, const char* to, const llama_model_quantize_params*)> llama_model_quantize{
      llama, "llama_model_quantize"};
  function<llama_model*(const char* path, llama_model_params)> llama_model_load_from_file{llama,
                                                                                          "llama_model_load_from_file"};
  function<void(llama_model*)> llama_model_free{llama, "llama_model_free"};
  function<llama_context*(llama_model*, llama_context_params)> llama_init_from_model{llama, "llama_init_from_model"};
  function<void(llama_context*)> llama_free{llama, "llama_free"};
  function<void(llama_context*, ggml_threadpool*, ggml_threadpool*)> llama_attach_threadpool{llama,
                                                                                             "llama_attach_threadpool"};
  function<llama_memory*(const llama_context*)> llama_get_memory{llama, "llama_get_memory"};
  function<void(llama_memory*, bool data)> llama_memory_clear{llama, "llama_memory_clear"};
  function<std::int32_t(llama_context*, llama_batch)> llama_decode{llama, "llama_decode"};
  function<float*(llama_context*, std::int32_t)> llama_get_logits_ith{llama, "llama_get_logits_ith"};
};

}  // namespace rwkv7_bench
