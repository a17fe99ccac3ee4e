// SPDX-License-Identifier: MIT
/// Whole language models: every header of the component rwkv7::model, and all of timemix.hpp. Needs nlohmann_json and
/// minizip.
#pragma once

#include "rwkv7/model/chat.hpp"
#include "rwkv7/model/checkpoint.hpp"
#include "rwkv7/model/checkpoint_writer.hpp"
#include "rwkv7/model/convert_teacher.hpp"
#include "rwkv7/model/detect_variant.hpp"
#include "rwkv7/model/gguf_vocabulary.hpp"
#include "rwkv7/model/huge_pages.hpp"
#include "rwkv7/model/language_model.hpp"
#include "rwkv7/model/model_config.hpp"
#include "rwkv7/model/model_state.hpp"
#include "rwkv7/model/prefill.hpp"
#include "rwkv7/model/quantise.hpp"
#include "rwkv7/model/sampler.hpp"
#include "rwkv7/model/state_file.hpp"
#include "rwkv7/model/state_pool.hpp"
#include "rwkv7/model/stop_strings.hpp"
#include "rwkv7/model/tokenizer.hpp"
#include "rwkv7/model/tuned_state.hpp"
#include "rwkv7/model/utf8_stream.hpp"
#include "rwkv7/model/world_tokenizer.hpp"
#include "rwkv7/timemix.hpp"
