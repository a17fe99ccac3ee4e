// SPDX-License-Identifier: MIT
/// What the main functions of the programs have in common.
#pragma once

#include <cstdio>
#include <exception>
#include <new>
#include <rwkv7/core/check.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace examples {

/// To the standard output, at once.
inline void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw std::runtime_error("the standard output cannot be written");
}

/// run(arguments), or the usage for --help alone. The exit status: 0, 2 for a command line or a file that cannot be
/// used, 1 for everything else; where it is not 0, one line on the standard error says why.
template <class Run>
int run_program(const char* name, const char* usage, int argc, char** argv, Run run) {
  const auto fail = [&](int status, std::string line) {
    for (char& c : line)
      if (static_cast<unsigned char>(c) < 0x20) c = '?';
    std::fprintf(stderr, "%s: %s\n", name, line.c_str());
    return status;
  };
  try {
    const std::vector<std::string> arguments(argv + (argc > 0), argv + argc);
    if (arguments == std::vector<std::string>{"--help"})
      print(usage);
    else
      run(arguments);
    return 0;
  } catch (const bad_input& e) {
    return fail(2, e.what());
  } catch (const rwkv7::error& e) {
    return fail(2, e.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory");
  } catch (const std::exception& e) {
    return fail(1, e.what());
  }
}

}  // namespace examples
