// SPDX-License-Identifier: MIT
#include "rwkv7/core/decay.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <type_traits>

using rwkv7::decay;
using rwkv7::decay_form;
using rwkv7::decay_offset;
using rwkv7::view;

TEST_CASE_TEMPLATE("a decay carries its tensor and its form", T, float, double) {
  T x[4] = {};
  const view<T, 4> w(x, {1, 1, 1, 4});
  CHECK(decay<T>::factor(w).form() == decay_form::factor);
  CHECK(decay<T>::log(w).form() == decay_form::log);
  CHECK(decay<T>::loglog(w).form() == decay_form::loglog);
  CHECK(decay<T>::logit(w).form() == decay_form::logit);
  CHECK(decay<T>::loglog(w).values() == view<const T, 4>(w));
}

TEST_CASE("the offset of a logit is one half unless it is said") {
  const view<const float, 4> w;
  CHECK(decay<float>::logit(w).offset() == decay_offset::half);
  CHECK(decay<float>::logit(w, decay_offset::six_tenths).offset() == decay_offset::six_tenths);
}

TEST_CASE("the scale of an offset is exp of minus the offset, to the last bit of a double") {
  CHECK(rwkv7::decay_scale(decay_offset::half) == std::exp(-0.5));
  CHECK(rwkv7::decay_scale(decay_offset::six_tenths) == std::exp(-0.6));
}

TEST_CASE("there is no decay without a form") {
  static_assert(!std::is_default_constructible_v<decay<float>>);
  static_assert(std::is_trivially_copyable_v<decay<float>>);
  // A bare tensor is refused by a constructor that says why: compile_fail/decay_without_form.cpp.
  CHECK(true);
}
