// SPDX-License-Identifier: MIT
// Parts of states asked for by the names of the other kind of layers.
// expect: rwkv7: states of linearised Transformers have parts of other kinds: state_of_time_mix and rings_of_attention
// expect: rwkv7: only states of linearised Transformers have layers of time-mix alone; state_of_layer says where
// expect: rwkv7: only states of linearised Transformers have rings
#include "rwkv7/model/model_state.hpp"
#include "rwkv7/variant/catalogue.hpp"

#ifdef RWKV7_COMPILE_FAIL_CONTROL
constexpr auto transformer = rwkv7::cxa079, rwkv_lm = rwkv7::x070;
#else
constexpr auto transformer = rwkv7::x070, rwkv_lm = rwkv7::cxa079;
#endif

void parts(const rwkv7::model_sizes& sizes, const rwkv7::carried<float, 2>& slots) {
  rwkv7::state_of_layer<rwkv_lm>(sizes, slots, 0);
  rwkv7::state_of_time_mix<transformer>(sizes, slots, 0);
  rwkv7::rings_of_attention<transformer>(sizes, slots.final, {}, 0);
}
