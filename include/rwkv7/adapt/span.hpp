// SPDX-License-Identifier: MIT
/// std::span (and std::vector, std::array through it) as a dense view, its length checked against the extents.
#pragma once

#include <ranges>
#include <span>
#include <type_traits>

#include "rwkv7/core/check.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// A dense row-major tensor in contiguous memory. rwkv7::error when the memory holds another number of elements; where
/// exceptions are off the result is then absent, which every operation refuses.
///
///   as_view(q, {B, T, H, N})
template <std::ranges::contiguous_range Range, std::size_t Rank>
auto as_view(Range&& memory, const index_t (&extents)[Rank]) {
  using element = std::remove_reference_t<std::ranges::range_reference_t<Range>>;
  static_assert(std::ranges::borrowed_range<Range>,
                "rwkv7: a temporary container would be gone before the view is used");
  const std::span<element> elements(memory);
  typename view<element, static_cast<int>(Rank)>::index_array shape;
  for (std::size_t a = 0; a < Rank; ++a) shape[a] = extents[a];
  const view<element, static_cast<int>(Rank)> result(elements.data(), shape);
  if (static_cast<index_t>(elements.size()) == result.size()) return result;
  diagnosis problem;
  problem.complain("rwkv7::as_view: memory: got %lld elements, want %lld", static_cast<long long>(elements.size()),
                   static_cast<long long>(result.size()));
  report(problem);
  return view<element, static_cast<int>(Rank)>();
}

}  // namespace rwkv7
