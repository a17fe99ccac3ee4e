// SPDX-License-Identifier: MIT
#include "support/model_instances.hpp"

RWKV7_TEST_FORWARD_TYPES()
