// SPDX-License-Identifier: MIT
// A user's program that needs the component model.
#include <cstdio>
#include <rwkv7/model.hpp>

int main() {
  try {
    rwkv7::language_model<>::open("no such file");
  } catch (const rwkv7::error& e) {
    std::puts(e.what());
    return 0;
  }
  return 1;
}
