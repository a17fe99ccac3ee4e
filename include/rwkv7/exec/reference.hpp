// SPDX-License-Identifier: MIT
/// Runs the definition of every operation: plain loops, all arithmetic in double, one thread. The oracle of the tests,
/// and the way to run a model in double.
#pragma once

#include "rwkv7/exec/executor.hpp"

namespace rwkv7 {

/// The definitions of backend/reference, in double inside, on the calling thread.
struct reference_executor {
  using backend_tag = backend::reference::tag;
};

}  // namespace rwkv7
