// SPDX-License-Identifier: MIT
// Every unit that multiplies small integers gives the integers of a plain loop.
#include "rwkv7/backend/cpu/integer_dot.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "support/architectures.hpp"
#include "support/pattern.hpp"

using namespace rwkv7_test;
namespace cpu = rwkv7::backend::cpu;
using rwkv7::index_t;
using rwkv7::panel_rows;

namespace {

struct operands {
  std::vector<unsigned char> codes;  // 512
  std::vector<std::int16_t> x;       // [5, 32]
};

/// Of all sizes, and the largest of either sign.
std::vector<operands> samples() {
  std::vector<operands> all;
  const pattern_stream codes("codes"), x("x");
  for (int kind = 0; kind < 6; ++kind) {
    operands each{std::vector<unsigned char>(512), std::vector<std::int16_t>(5 * 32)};
    for (std::size_t i = 0; i < 512; ++i)
      each.codes[i] = static_cast<unsigned char>(kind == 1 ? 0 : kind == 2 ? 255 : codes.u24(static_cast<index_t>(i)));
    for (std::size_t i = 0; i < each.x.size(); ++i) {
      const int any = static_cast<int>(x.u24(static_cast<index_t>(i)) % (2 * cpu::input_most + 1)) - cpu::input_most;
      each.x[i] = static_cast<std::int16_t>(kind == 0 ? any : kind % 2 == 0 ? cpu::input_most : -cpu::input_most);
      if (kind == 5) each.x[i] = static_cast<std::int16_t>(any % 200);
    }
    all.push_back(each);
  }
  return all;
}

template <class Arch, class Unit, bool Nibbles, int Rows>
void check(const operands& in) {
  std::vector<unsigned char> inputs(1 + Rows * 96);  // unaligned, with a gap between the rows
  std::int32_t totals[Rows], sums[Rows][panel_rows];
  for (int r = 0; r < Rows; ++r) {
    cpu::store_inputs(Unit{}, in.x.data() + 32 * r, inputs.data() + 1 + 96 * r);
    totals[r] = 0;
    for (int k = 0; k < 32; ++k) totals[r] += in.x[static_cast<std::size_t>(32 * r + k)];
  }
  auto codes = in.codes;
  codes.insert(codes.begin(), 99);
  cpu::dot_panel<Arch, Nibbles, Rows>(Unit{}, codes.data() + 1, inputs.data() + 1, 96, totals, sums);
  for (int r = 0; r < Rows; ++r)
    for (int row = 0; row < 16; ++row) {
      long long want = 0;
      for (int k = 0; k < 32; ++k) {
        const int byte =
            in.codes[static_cast<std::size_t>(Nibbles ? k / 8 * 64 + 4 * row + k % 4 : k / 4 * 64 + 4 * row + k % 4)];
        const int code = !Nibbles ? byte - 128 : (k % 8 < 4 ? byte % 16 : byte / 16) - 8;
        want += code * in.x[static_cast<std::size_t>(32 * r + k)];
      }
      CHECK(sums[r][row] == want);
    }
}

template <class Arch, class Unit>
void check_all() {
  for (const auto& in : samples()) {
    check<Arch, Unit, false, 1>(in), check<Arch, Unit, false, 5>(in);
    check<Arch, Unit, true, 1>(in), check<Arch, Unit, true, 5>(in);
  }
}

}  // namespace

TEST_CASE("the products of a panel are exact in every unit of every instruction set") {
  for_each_architecture([](auto arch) {
    using Arch = decltype(arch);
    check_all<Arch, cpu::by_pairs>();
    check_all<Arch, cpu::dot_unit<Arch>>();
  });
}
