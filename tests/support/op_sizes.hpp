// SPDX-License-Identifier: MIT
/// What the calls of op_calls.hpp and block_calls.hpp are told.
#pragma once

#include "rwkv7/core/config.hpp"

namespace rwkv7_test {

/// None a multiple of a vector, so that every loop has a tail.
struct op_sizes {
  rwkv7::index_t B = 2, T = 37, H = 4, H_kv = 2, N = 19, C = 77, rank = 13;
};

/// What the operation will do with the memory it asks for.
enum class role { read, write, scratch };

}  // namespace rwkv7_test
