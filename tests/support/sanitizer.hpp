// SPDX-License-Identifier: MIT
/// Which sanitizer this is compiled with.
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RWKV7_TEST_ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define RWKV7_TEST_THREAD_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define RWKV7_TEST_ADDRESS_SANITIZER 1
#elif defined(__SANITIZE_THREAD__)
#define RWKV7_TEST_THREAD_SANITIZER 1
#endif

#if defined(RWKV7_TEST_ADDRESS_SANITIZER) || defined(RWKV7_TEST_THREAD_SANITIZER)
#define RWKV7_TEST_SANITIZER 1
#endif
