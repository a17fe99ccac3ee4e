// SPDX-License-Identifier: MIT
/// Runs the example programs. Needs a POSIX shell.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace rwkv7_test {

struct outcome {
  int status;  // -1 for a program that was killed
  std::string out, err;
};

/// Runs an example with these arguments, whatever bytes they hold. `before` is shell code, such as a limit to set.
inline outcome run_example(const std::string& name, const std::vector<std::string>& arguments = {},
                           const std::string& before = "") {
  const auto quoted = [](const std::string& text) {
    std::string result = "'";
    for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + "'";
  };
  const temporary_folder folder;
  std::string command = before + ' ' + quoted(std::string(RWKV7_EXAMPLES_DIR) + '/' + name);
  for (const auto& argument : arguments) (command += ' ') += quoted(argument);
  (command += " 2>") += quoted(folder.file("err"));
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("cannot run " + command);
  outcome result{};
  char buffer[4096];
  while (const auto size = std::fread(buffer, 1, sizeof buffer, pipe)) result.out.append(buffer, size);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.err = content_of(folder.file("err"));
  return result;
}

}  // namespace rwkv7_test
