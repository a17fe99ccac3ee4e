// SPDX-License-Identifier: MIT
#pragma once

/// Incompatible versions of the source interface.
#define RWKV7_VERSION_MAJOR 0
/// Compatible additions; before 1.0 incompatible changes, too.
#define RWKV7_VERSION_MINOR 1
/// Corrections.
#define RWKV7_VERSION_PATCH 0
