// SPDX-License-Identifier: MIT
// Every function: raw pointers become views, the C++ call, exceptions become a status.
#include "rwkv7_c.h"

#include <cstdio>
#include <new>
#include <rwkv7/model.hpp>
#include <span>
#include <string>

struct rwkv7_model {
  rwkv7::huge_page_memory memory;  // of the parameters, after pack
  rwkv7::language_model<> model;
};

namespace {

using rwkv7::index_t;
using rwkv7::view;

thread_local char last_error[256] = "";

int failed(rwkv7_status status, const char* why) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", why);
  return status;
}

/// No exception may reach C.
template <class F>
int status_of(F&& f) noexcept {
  try {
    f();
    return RWKV7_OK;
  } catch (const rwkv7::error& e) {
    return failed(RWKV7_INVALID_ARGUMENT, e.what());
  } catch (const std::bad_alloc&) {
    return failed(RWKV7_OUT_OF_MEMORY, "rwkv7: out of memory");
  } catch (const std::exception& e) {
    return failed(RWKV7_FAILED, e.what());
  } catch (...) {
    return failed(RWKV7_FAILED, "rwkv7: unknown exception");
  }
}

void need(const char* function, const char* name, const void* p) {
  if (!p) throw rwkv7::error(std::string(function) + ": " + name + ": not given");
}

/// Absent stays absent: a null pointer with extents would be an operand that was forgotten.
template <class T, int Rank>
view<T, Rank> optional(T* data, const std::array<index_t, Rank>& extents) {
  return data ? view<T, Rank>(data, extents) : view<T, Rank>();
}

rwkv7::decay<float> decay_of(int form, view<const float, 4> w) {
  switch (form) {
    case RWKV7_DECAY_FACTOR:
      return rwkv7::decay<float>::factor(w);
    case RWKV7_DECAY_LOG:
      return rwkv7::decay<float>::log(w);
    case RWKV7_DECAY_LOGLOG:
      return rwkv7::decay<float>::loglog(w);
    case RWKV7_DECAY_LOGIT:
      return rwkv7::decay<float>::logit(w);
  }
  throw rwkv7::error("rwkv7_wkv7: w_is: got " + std::to_string(form) + ", want an rwkv7_decay");
}

}  // namespace

const char* rwkv7_version(void) {
#define RWKV7_C_TEXT_OF(x) #x
#define RWKV7_C_TEXT(x) RWKV7_C_TEXT_OF(x)
  return RWKV7_C_TEXT(RWKV7_VERSION_MAJOR) "." RWKV7_C_TEXT(RWKV7_VERSION_MINOR) "." RWKV7_C_TEXT(RWKV7_VERSION_PATCH);
}

const char* rwkv7_last_error(void) { return last_error; }

int rwkv7_wkv7(int64_t B, int64_t T, int64_t H, int64_t N, const float* r, const float* w, int w_is, const float* k,
               const float* v, const float* a, const float* b, float* y, float* S) {
  return status_of([&] {
    const auto in = [&](const float* x) { return view<const float, 4>(x, {B, T, H, N}); };
    rwkv7::wkv7(rwkv7::inline_executor{}, rwkv7::dense{B, T},
                rwkv7::wkv7_inputs<float>{
                    .r = in(r), .w = decay_of(w_is, in(w)), .k = in(k), .v = in(v), .a = in(a), .b = in(b)},
                view<float, 4>(y, {B, T, H, N}), rwkv7::state<float>::in_place(optional<float, 4>(S, {B, H, N, N})));
  });
}

int rwkv7_model_open(const char* path, rwkv7_model** model) {
  if (model) *model = nullptr;
  return status_of([&] {
    need("rwkv7_model_open", "path", path);
    need("rwkv7_model_open", "model", model);
    *model = new rwkv7_model{{}, rwkv7::language_model<>::open(path)};
  });
}

int rwkv7_model_pack(rwkv7_model* model) {
  return status_of([&] {
    need("rwkv7_model_pack", "model", model);
    rwkv7::huge_page_memory memory(model->model.weights_size());
    model->model.pack(memory.bytes());
    model->memory = std::move(memory);
  });
}

void rwkv7_model_free(rwkv7_model* model) { delete model; }

int64_t rwkv7_model_vocabulary(const rwkv7_model* model) { return model ? model->model.sizes().V : 0; }

int64_t rwkv7_model_state_size(const rwkv7_model* model) { return model ? model->model.state_size() : 0; }

size_t rwkv7_model_workspace_size(const rwkv7_model* model, int64_t B, int64_t T) {
  return model && B >= 0 && T >= 0 ? model->model.workspace_size(rwkv7::dense{B, T}) : 0;
}

int rwkv7_model_forward(const rwkv7_model* model, int64_t B, int64_t T, const int32_t* tokens, float* last,
                        float* logits, float* state, void* workspace, size_t workspace_size) {
  return status_of([&] {
    need("rwkv7_model_forward", "model", model);
    const auto& m = model->model;
    m.forward(
        rwkv7::inline_executor{}, rwkv7::dense{B, T}, view<const std::int32_t, 2>(tokens, {B, T}),
        {.logits = optional<float, 3>(logits, {B, T, m.sizes().V}), .last = optional<float, 2>(last, {B, m.sizes().V})},
        rwkv7::carried<float, 2>::in_place(optional<float, 2>(state, {B, m.state_size()})),
        std::span(static_cast<std::byte*>(workspace), workspace ? workspace_size : 0));
  });
}
