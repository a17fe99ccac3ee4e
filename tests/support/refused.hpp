// SPDX-License-Identifier: MIT
/// Calls that must be refused before anything is written.
#pragma once

#include <doctest/doctest.h>
#include <string>

#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/strided.hpp"

namespace rwkv7_test {

/// What rwkv7::error says when `call()` throws it.
template <class Call>
std::string complaint_of(Call&& call) {
  try {
    call();
  } catch (const rwkv7::error& e) {
    return e.what();
  }
  return "nothing";
}

/// `call(exec)` throws rwkv7::error with this text on both kinds of executor, and `validated` says the same.
template <class Call>
void check_refused(const std::string& text, const rwkv7::diagnosis& validated, Call&& call) {
  CHECK(text == validated.message());
  rwkv7::inline_executor cpu;
  CHECK(text == complaint_of([&] { call(cpu); }));
  rwkv7::reference_executor reference;
  CHECK(text == complaint_of([&] { call(reference); }));
}

/// A view of tensor-like extents with nothing behind it.
template <class T, int Rank>
view<const T, Rank> absent(const tensor<T, Rank>& x) {
  return {nullptr, x.in().extents()};
}

/// Every second element of the last axis; only ever shown, never read.
template <class V>
V every_second(const V& x) {
  auto strides = x.strides();
  strides.back() = 2;
  return V(x.data(), x.extents(), strides);
}

/// The same tensor with another extent along one axis; only ever shown, never read.
template <class V>
V resized(const V& x, int axis, index_t extent) {
  return slice(x, axis, 0, extent);
}

}  // namespace rwkv7_test
