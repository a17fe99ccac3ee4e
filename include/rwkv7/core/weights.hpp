// SPDX-License-Identifier: MIT
/// weights<Rank>: a read-only parameter tensor that keeps the element type it has on disk.
///
/// Activations are typed by the program, parameters by the checkpoint. The element type is therefore a run-time tag,
/// looked at once per product (matrices) or once per vector register (vectors), never copied and never converted ahead.
/// A matrix may be quantised: then it has extents, but no strides and no view, and only linear takes it.
#pragma once

#include <cstddef>

#include "rwkv7/core/dtype.hpp"
#include "rwkv7/core/quantised.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// A view whose element type is known at run time; see rwkv7/core/weights.hpp.
template <int Rank>
class weights {
 public:
  /// One number per axis.
  using index_array = inline_array<index_t, static_cast<std::size_t>(Rank)>;
  /// How many axes it has.
  static constexpr int rank = Rank;

  /// Absent: no data, all extents 0.
  RWKV7_INLINE constexpr weights() noexcept {}
  /// A dense row-major tensor at `data`, or, of a quantised type, a packed matrix (core/quantised.hpp).
  RWKV7_INLINE constexpr weights(const void* data, dtype type, const index_array& extents) noexcept
      : data_(data), extents_(extents), strides_(dense_strides(extents)), type_(type) {}
  /// A view of one of the three element types, with its strides.
  template <class T>
  requires weight_element<std::remove_const_t<T>> RWKV7_INLINE constexpr weights(const view<T, Rank>& v) noexcept
      : data_(v.data()), extents_(v.extents()), strides_(v.strides()), type_(dtype_of<std::remove_const_t<T>>) {}
  /// std::mdspan and look-alikes of the same rank.
  template <mdspan_like M>
  requires weight_element<std::remove_cvref_t<decltype(*std::declval<const M&>().data_handle())>>
  constexpr weights(const M& m) : weights(view<const std::remove_cvref_t<decltype(*m.data_handle())>, Rank>(m)) {}

  /// Anything else is refused in words.
  template <class T, int OtherRank>
  requires(OtherRank != Rank || !weight_element<std::remove_const_t<T>>) constexpr weights(const view<T, OtherRank>&) {
    static_assert(sizeof(T) == 0,
                  "rwkv7: parameters are float, f16 or bf16, with as many axes as the operation wants of this one");
  }

  /// The first element; its type is type().
  RWKV7_INLINE constexpr const void* data() const noexcept { return data_; }
  /// What the elements are.
  RWKV7_INLINE constexpr dtype type() const noexcept { return type_; }
  /// Of one axis.
  RWKV7_INLINE constexpr index_t extent(int axis) const noexcept { return extents_[static_cast<std::size_t>(axis)]; }
  /// Of one axis, in elements.
  RWKV7_INLINE constexpr index_t stride(int axis) const noexcept { return strides_[static_cast<std::size_t>(axis)]; }
  /// Of all axes.
  RWKV7_INLINE constexpr const index_array& extents() const noexcept { return extents_; }
  /// False for an absent parameter.
  RWKV7_INLINE constexpr explicit operator bool() const noexcept { return data_ != nullptr; }

  /// The same matrix with its axes swapped; not for a quantised one.
  RWKV7_INLINE constexpr weights transposed() const noexcept requires(Rank == 2) {
    weights result = *this;
    result.extents_ = {{extents_[1], extents_[0]}};
    result.strides_ = {{strides_[1], strides_[0]}};
    return result;
  }
  /// Whether the elements of one column, the weights of one input, are the ones that are neighbours in memory.
  RWKV7_INLINE constexpr bool by_inputs() const noexcept requires(Rank == 2) {
    return strides_[1] != 1 && strides_[0] == 1 && extents_[1] > 1;
  }

  /// The same tensor with its element type named; the caller has looked at type(), which is not quantised.
  template <weight_element T>
  RWKV7_INLINE constexpr view<const T, Rank> as() const noexcept {
    return {static_cast<const T*>(data_), extents_, strides_};
  }

  /// f(view<const T, Rank>) with the T this tensor holds; not for a quantised one, which has no T.
  template <class F>
  constexpr decltype(auto) visit(F&& f) const {
    switch (type_) {
      case dtype::f16:
        return f(as<f16>());
      case dtype::bf16:
        return f(as<bf16>());
      default:
        break;
    }
    return f(as<float>());
  }

  /// One element, exactly: the reference executor's way to read.
  template <class... I>
  requires(sizeof...(I) == static_cast<std::size_t>(Rank)) constexpr double operator()(I... i) const noexcept {
    switch (type_) {
      case dtype::f16:
        return static_cast<double>(as<f16>()(i...).to_float());
      case dtype::bf16:
        return static_cast<double>(as<bf16>()(i...).to_float());
      default:
        break;
    }
    if constexpr (Rank == 2)
      if (is_quantised(type_))
        return quantised_value(data_, type_, extents_[0], extents_[1], static_cast<index_t>(i)...);
    return static_cast<double>(as<float>()(i...));
  }

 private:
  const void* data_ = nullptr;
  index_array extents_{};
  index_array strides_{};
  dtype type_ = dtype::f32;
};

}  // namespace rwkv7
