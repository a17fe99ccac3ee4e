// SPDX-License-Identifier: MIT
#pragma once

#define RWKV7_VERSION_MAJOR 0
#define RWKV7_VERSION_MINOR 1
#define RWKV7_VERSION_PATCH 0
