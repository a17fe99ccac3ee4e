// SPDX-License-Identifier: MIT
/// The published variants, as values.
#pragma once

#include "rwkv7/variant/variant.hpp"

namespace rwkv7 {

/// Standard RWKV-7 "Goose", as RWKV-LM releases it.
inline constexpr variant x070{};

}  // namespace rwkv7
