// SPDX-License-Identifier: MIT
/// language_model<x070>::forward on the executors of the tests, compiled once, in model_instances.cpp. On kernels of
/// the build itself, model/golden_variants.cpp and model/types.cpp run whole models, safety/ and exec/dispatch.cpp
/// blocks.
#pragma once

#include "rwkv7/model/language_model.hpp"
#include "support/executors.hpp"

#define RWKV7_TEST_FORWARD(EXTERN, T, ...)                                                                            \
  EXTERN template void rwkv7::language_model<rwkv7::x070, T>::forward<__VA_ARGS__&>(                                  \
      __VA_ARGS__&, const rwkv7::sequences&, rwkv7::view<const std::int32_t, 2>,                                      \
      const rwkv7::language_model_outputs<rwkv7::compute_type<T>>&, const rwkv7::carried<rwkv7::compute_type<T>, 2>&, \
      rwkv7::workspace) const;

#define RWKV7_TEST_FORWARD_ALL(EXTERN)                          \
  RWKV7_TEST_FORWARD(EXTERN, double, rwkv7::reference_executor) \
  RWKV7_TEST_FORWARD(EXTERN, float, rwkv7::reference_executor)  \
  RWKV7_TEST_FORWARD(EXTERN, float, rwkv7_test::any_cpu_executor)

#if !defined(RWKV7_TEST_COMPILE_MODELS)  // a test that is not linked with them says this
RWKV7_TEST_FORWARD_ALL(extern)
#endif
