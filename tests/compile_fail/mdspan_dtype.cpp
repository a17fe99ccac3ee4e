// SPDX-License-Identifier: MIT
// An mdspan has another element type than the operand.
// expect: rwkv7: this operand has another element type or number of axes than the operation wants
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/gate.hpp"

template <class T>
struct mdspan {
  static constexpr std::size_t rank() { return 3; }
  T* data_handle() const;
  std::size_t extent(std::size_t) const;
  std::size_t stride(std::size_t) const;
};

#ifdef RWKV7_COMPILE_FAIL_CONTROL
using element = float;
#else
using element = double;
#endif

void call(const rwkv7::view<float, 3>& x, const mdspan<element>& g) {
  rwkv7::gate(rwkv7::inline_executor{}, rwkv7::gate_inputs<float>{.x = x, .g = g}, x);
}
