// SPDX-License-Identifier: MIT
/// decay<T>: per-channel decay together with the form it is in.
///
/// RWKV code passes four different quantities under the name `w`. All are tensors of the same shape, so a plain view is
/// not accepted where a decay is wanted: the caller names the form.
///
///   factor(w)          w itself                          ggml_rwkv_wkv7
///   log(x)             w = exp(x)                        flash-linear-attention
///   loglog(x)          w = exp(-exp(x))                  RWKV-LM wkv7_cuda, wind_rwkv
///   logit(x, offset)   w = exp(-exp(-offset) σ(x))       RWKV-LM clampw; offset 1/2 in every model but cxa073
#pragma once

#include <type_traits>

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// What a tensor of decays holds.
enum class decay_form : unsigned char { factor, log, loglog, logit };
/// The offset c in exp(-exp(-softplus(-x) - c)) = exp(-exp(-c) σ(x)).
enum class decay_offset : unsigned char { half, six_tenths };

/// exp(-offset): the largest decay exponent a logit can reach.
RWKV7_INLINE constexpr double decay_scale(decay_offset offset) noexcept {
  return offset == decay_offset::half ? 0.60653065971263342 : 0.54881163609402643;
}

/// Values [B, T, H, N] and the form they are in.
template <class T>
class decay {
 public:
  /// w = values
  static constexpr decay factor(view<const T, 4> w) noexcept { return {w, decay_form::factor, {}}; }
  /// w = exp(values)
  static constexpr decay log(view<const T, 4> x) noexcept { return {x, decay_form::log, {}}; }
  /// w = exp(-exp(values))
  static constexpr decay loglog(view<const T, 4> x) noexcept { return {x, decay_form::loglog, {}}; }
  /// w = exp(-exp(-offset) σ(values))
  static constexpr decay logit(view<const T, 4> x, decay_offset offset = decay_offset::half) noexcept {
    return {x, decay_form::logit, offset};
  }

  /// A bare tensor does not say which of the four it is.
  template <class Tensor>
  requires(!std::is_same_v<Tensor, decay> &&
           !std::is_same_v<Tensor, detail::no_operand>) constexpr decay(const Tensor&) {
    static_assert(sizeof(Tensor) == 0,
                  "rwkv7: say which form the decay is in: decay<T>::factor(w), log(w), loglog(w) or logit(w)");
  }

  /// As given.
  RWKV7_INLINE constexpr const view<const T, 4>& values() const noexcept { return values_; }
  /// What values() holds.
  RWKV7_INLINE constexpr decay_form form() const noexcept { return form_; }
  /// For the logit form.
  RWKV7_INLINE constexpr decay_offset offset() const noexcept { return offset_; }

 private:
  constexpr decay(view<const T, 4> values, decay_form form, decay_offset offset) noexcept
      : values_(values), form_(form), offset_(offset) {}

  view<const T, 4> values_{};
  decay_form form_{};
  decay_offset offset_{};
};

}  // namespace rwkv7
