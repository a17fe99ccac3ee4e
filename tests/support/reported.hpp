// SPDX-License-Identifier: MIT
/// Complaints in both kinds of build: thrown where exceptions are on, told to a handler where they are off.
#pragma once

#include <string>

#include "rwkv7/core/check.hpp"

namespace rwkv7_test {

#if !RWKV7_EXCEPTIONS
inline std::string last_report;
inline int reports = 0;
#endif

/// What `call()` complains about, or nothing. A second complaint is one of its own: "2 complaints".
template <class Call>
std::string reported(Call&& call) {
#if RWKV7_EXCEPTIONS
  try {
    call();
  } catch (const rwkv7::error& e) {
    return e.what();
  }
  return "";
#else
  last_report.clear();
  reports = 0;
  const auto before = rwkv7::set_error_handler([](const char* message) {
    last_report = message;
    ++reports;
  });
  call();
  rwkv7::set_error_handler(before);
  return reports > 1 ? std::to_string(reports) + " complaints" : last_report;
#endif
}

}  // namespace rwkv7_test
