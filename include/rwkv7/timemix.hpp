// SPDX-License-Identifier: MIT
/// Every host header of the RWKV-7 primitives. Left out because they need more than xsimd: exec/threads.hpp and
/// adapt/eigen.hpp (Eigen), model.hpp (nlohmann_json).
#pragma once

#include "rwkv7/adapt/span.hpp"
#include "rwkv7/block/channel_mix.hpp"
#include "rwkv7/block/layer.hpp"
#include "rwkv7/block/time_mix.hpp"
#include "rwkv7/exec/bulk.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/ops/bonus.hpp"
#include "rwkv7/ops/decay_factor.hpp"
#include "rwkv7/ops/first_residual.hpp"
#include "rwkv7/ops/gate.hpp"
#include "rwkv7/ops/group_norm.hpp"
#include "rwkv7/ops/key_update.hpp"
#include "rwkv7/ops/layer_norm.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/low_rank.hpp"
#include "rwkv7/ops/repeat_kv.hpp"
#include "rwkv7/ops/resident_state.hpp"
#include "rwkv7/ops/residual_add.hpp"
#include "rwkv7/ops/squared_relu.hpp"
#include "rwkv7/ops/token_shift.hpp"
#include "rwkv7/ops/wkv7.hpp"
#include "rwkv7/quant/pack.hpp"
#include "rwkv7/version.hpp"
