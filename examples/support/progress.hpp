// SPDX-License-Identifier: MIT
/// How far a program is.
#pragma once

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

#include <chrono>
#include <cstdio>

namespace examples {

inline bool is_terminal([[maybe_unused]] std::FILE* stream) {
#if __has_include(<unistd.h>)
  return isatty(fileno(stream)) == 1;
#else
  return false;
#endif
}

/// How far a phase of the work is, while it runs and a terminal shows the standard error; then how fast it was.
class progress {
 public:
  progress(const char* phase, long long all, bool shown, const char* unit = "tokens")
      : phase_(phase), unit_(unit), all_(all), shown_(shown && is_terminal(stderr)) {}

  void at(long long done) {
    done_ = done;
    const auto now = clock::now();
    if (!shown_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    std::fprintf(stderr, "\r%s: %lld of %lld %s", phase_, done, all_, unit_);
  }
  void finish() const {
    const double seconds = std::chrono::duration<double>(clock::now() - start_).count();
    std::fprintf(stderr, "%s%s: %lld %s, %.1f %s/s\n", shown_ ? "\r\033[K" : "", phase_, done_, unit_,
                 static_cast<double>(done_) / seconds, unit_);
  }

 private:
  using clock = std::chrono::steady_clock;
  const char *phase_, *unit_;
  long long all_, done_ = 0;
  bool shown_;
  clock::time_point start_ = clock::now(), last_ = start_;
};

}  // namespace examples
