// SPDX-License-Identifier: MIT
// An mdspan has another number of axes than the operand.
// expect: rwkv7: this operand has another number of axes
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

template <std::size_t Rank>
struct mdspan {
  static constexpr std::size_t rank() { return Rank; }
  float* data_handle() const;
  std::size_t extent(std::size_t) const;
  std::size_t stride(std::size_t) const;
};

#ifdef RWKV7_COMPILE_FAIL_CONTROL
constexpr std::size_t axes = 3;
#else
constexpr std::size_t axes = 2;
#endif

void call(const rwkv7::view<float, 3>& x, const mdspan<axes>& g) {
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = x, .g = g}, x);
}
