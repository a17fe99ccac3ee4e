// SPDX-License-Identifier: MIT
// What a complaint says, to the letter: the text is part of the interface.
#include "rwkv7/core/check.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

using rwkv7::checker;
using rwkv7::diagnosis;
using rwkv7::index_t;
using rwkv7::view;
using rwkv7::weights;
using text = std::string;

namespace {

float memory[256];

view<float, 3> dense(index_t B, index_t T, index_t C) { return {memory, {B, T, C}}; }

text said(const checker& check) { return check.result().message(); }

}  // namespace

TEST_CASE("an error is an invalid_argument") {
  static_assert(std::is_base_of_v<std::invalid_argument, rwkv7::error>);
  diagnosis problem;
  CHECK(!problem);
  CHECK(text(problem.message()).empty());
  problem.complain("rwkv7::%s: %s", "gate", "no");
  CHECK(problem);
  CHECK_THROWS_WITH_AS(rwkv7::report(problem), "rwkv7::gate: no", rwkv7::error);
}

TEST_CASE("the first complaint is the one that is kept") {
  diagnosis problem;
  problem.complain("first %d", 1);
  problem.complain("second %d", 2);
  CHECK(text(problem.message()) == "first 1");
  checker check("gate");
  check.shape("x", dense(2, 3, 4), {{"B", 9}, {"T", 3}, {"C", 4}})
      .shape("y", dense(2, 3, 4), {{"B", 2}, {"T", 9}, {"C", 4}})
      .head_size(100000);
  CHECK(said(check) == "rwkv7::gate: x axis B: got 2, want 9");
}

TEST_CASE("a complaint longer than its buffer is cut, not overrun") {
  diagnosis problem;
  const text endless(1000, 'x');
  problem.complain("rwkv7::%s", endless.c_str());
  CHECK(std::strlen(problem.message()) == 239);
  CHECK(text(problem.message()) == ("rwkv7::" + endless).substr(0, 239));
  const diagnosis copy = problem;  // by value: it may outlive what it was made from
  CHECK(text(copy.message()) == problem.message());
}

TEST_CASE("a wrong extent names operand, axis, got and want") {
  CHECK(said(checker("wkv7").shape("y", dense(2, 3, 4), {{"B", 2}, {"T", 3}, {"N", 4}})).empty());
  CHECK(said(checker("wkv7").shape("y", dense(2, 3, 3), {{"B", 2}, {"T", 3}, {"N", 4}})) ==
        "rwkv7::wkv7: y axis N: got 3, want 4");
  CHECK(said(checker("linear").shape("weight", weights<2>(memory, rwkv7::dtype::f32, {5, 6}),
                                     {{"out", 5}, {"in", 7}})) == "rwkv7::linear: weight axis in: got 6, want 7");
}

TEST_CASE("an absent operand is called absent, unless nothing would be in it anyway") {
  CHECK(said(checker("gate").shape("x", view<float, 2>{}, {{"B", 2}, {"C", 4}})) == "rwkv7::gate: x: not given");
  CHECK(said(checker("gate").shape("x", view<float, 2>(nullptr, {2, 4}), {{"B", 2}, {"C", 4}})) ==
        "rwkv7::gate: x: not given");
  CHECK(said(checker("gate").shape("x", weights<1>{}, {{"C", 4}})) == "rwkv7::gate: x: not given");
  CHECK(said(checker("gate").shape("x", view<float, 2>(nullptr, {0, 4}), {{"B", 0}, {"C", 4}})).empty());
  // A default view has no extent at all, so it was forgotten even where its own extents are what is wanted.
  CHECK(said(checker("gate").shape("x", view<float, 2>{}, {{"B", 0}, {"C", 0}})) == "rwkv7::gate: x: not given");
}

TEST_CASE("a last axis that is not contiguous names its stride") {
  const view<float, 2> every_second(memory, {2, 4}, {8, 2});
  CHECK(said(checker("gate").unit_stride("g", "D", every_second)) == "rwkv7::gate: g axis D: got stride 2, want 1");
  CHECK(said(checker("gate").unit_stride("g", "D", reversed(view<float, 2>(memory, {2, 4}), 1))) ==
        "rwkv7::gate: g axis D: got stride -1, want 1");
  CHECK(said(checker("gate").unit_stride("g", "D", view<float, 2>(memory, {2, 1}, {8, 2}))).empty());
  CHECK(said(checker("gate").operand("g", every_second, {{"B", 2}, {"D", 4}})) ==
        "rwkv7::gate: g axis D: got stride 2, want 1");
}

TEST_CASE("an overlap names both tensors; in place is no partial overlap") {
  const view<float, 2> x(memory, {2, 4}), y(memory + 4, {2, 4}), z(memory + 8, {2, 4});
  CHECK(said(checker("gate").disjoint("y", y, "x", x)) == "rwkv7::gate: y overlaps x");
  CHECK(said(checker("gate").disjoint("y", z, "x", x)).empty());
  CHECK(said(checker("gate").same_or_disjoint("y", x, "x", view<const float, 2>(x))).empty());
  CHECK(said(checker("gate").same_or_disjoint("y", y, "x", x)) == "rwkv7::gate: y overlaps x");
}

TEST_CASE("an output must not lie on a parameter either, whatever the parameter is stored in") {
  const view<float, 2> y(memory, {2, 4});
  for (const auto type : {rwkv7::dtype::f32, rwkv7::dtype::f16, rwkv7::dtype::bf16}) {
    CHECK(said(checker("linear").disjoint("y", y, "weight", weights<1>(memory + 7, type, {4}))) ==
          "rwkv7::linear: y overlaps weight");
    CHECK(said(checker("linear").disjoint("y", y, "weight", weights<1>(memory + 8, type, {4}))).empty());
  }
  CHECK(said(checker("low_rank").disjoint("y", y, "weight.bias", weights<1>{})).empty());
}

TEST_CASE("a repeated axis cannot be written") {
  const view<float, 2> repeated(memory, {3, 4}, {0, 1});
  CHECK(said(checker("wkv7").writable("state.final", repeated)) ==
        "rwkv7::wkv7: state.final axis 0: stride 0 cannot be written (a broadcast tensor is read only)");
  CHECK(said(checker("wkv7").writable("state.final", view<float, 2>(memory, {1, 4}, {0, 1}))).empty());
  CHECK(said(checker("gate").writable("y", dense(3, 4, 0))).empty());  // its dense strides are 0
}

TEST_CASE("groups of heads are even") {
  CHECK(said(checker("wkv7").grouped("k", 6, 3)).empty());
  CHECK(said(checker("wkv7").grouped("k", 6, 4)) == "rwkv7::wkv7: k heads: got 4, want a divisor of H = 6");
  CHECK(said(checker("wkv7").grouped("k", 6, 0)) == "rwkv7::wkv7: k heads: got 0, want a divisor of H = 6");
  CHECK(said(checker("wkv7").grouped("k", 6, 12)) == "rwkv7::wkv7: k heads: got 12, want a divisor of H = 6");
  CHECK(said(checker("wkv7").grouped("k", 0, 0)).empty());
}

TEST_CASE("a head size that was not compiled in names the macro that compiles it in") {
  CHECK(said(checker("wkv7").head_size(rwkv7::max_head_size)).empty());
  CHECK(said(checker("wkv7").head_size(rwkv7::max_head_size + 1)) ==
        "rwkv7::wkv7: head size N: got " + std::to_string(rwkv7::max_head_size + 1) + ", want at most " +
            std::to_string(rwkv7::max_head_size) + " (define RWKV7_MAX_HEAD_SIZE to compile in more)");
}

TEST_CASE("a workspace that is too small names both sizes") {
  CHECK(said(checker("time_mix").scratch(64, 64)).empty());
  CHECK(said(checker("time_mix").scratch(63, 64)) == "rwkv7::time_mix: workspace: got 63 bytes, want 64");
}

TEST_CASE("require words what a caller of checker wants") {
  CHECK(said(checker("gate").require(true, "T", -1, "0 or more")).empty());
  CHECK(said(checker("gate").require(false, "T", -1, "0 or more")) == "rwkv7::gate: T: got -1, want 0 or more");
}
