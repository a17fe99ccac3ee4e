// SPDX-License-Identifier: MIT
/// Checks at the edge of the library: one place that words the complaint, one that reports it.
///
/// Every operation checks extents, strides, overlap and sequences before it writes anything, in time that does not
/// depend on the data, and reports through rwkv7::error. `validate_<op>` gives the same text without throwing.
#pragma once

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <initializer_list>
#include <stdexcept>

#include "rwkv7/core/dtype.hpp"
#include "rwkv7/core/overlap.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/core/state.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// A precondition of an operation was not met: "rwkv7::wkv7: y axis N: got 3, want 4".
class error : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// What is wrong with a call, in words, or nothing. Holds its text by value.
class diagnosis {
 public:
  /// True when something is wrong.
  explicit operator bool() const noexcept { return text_[0] != '\0'; }
  /// The complaint, "" when there is none.
  const char* message() const noexcept { return text_; }

  /// Keeps the first complaint only: the ones after it are usually its consequences.
#if defined(__GNUC__)
  [[gnu::format(printf, 2, 3)]]
#endif
  void
  complain(const char* format, ...) noexcept {
    if (*this) return;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text_, sizeof text_, format, arguments);
    va_end(arguments);
  }

 private:
  char text_[240] = {};
};

/// Called with the message instead of throwing where exceptions are off. It may not return; when it does, or when none
/// is installed, the operation has written nothing.
using error_handler = void (*)(const char* message);

namespace detail {
inline constinit std::atomic<error_handler> installed_handler{nullptr};
}

/// Installs the handler for builds without exceptions and returns the previous one.
inline error_handler set_error_handler(error_handler handler) noexcept {
  return detail::installed_handler.exchange(handler);
}

/// Throws rwkv7::error, or calls the handler where exceptions are off.
inline void report(const diagnosis& problem) {
#if RWKV7_EXCEPTIONS
  throw error(problem.message());
#else
  if (const auto handler = detail::installed_handler.load()) handler(problem.message());
#endif
}

namespace detail {
/// How many slots a carried state has; -1 when there is none. The shortest of its parts counts.
template <class T, int Rank>
index_t slots_of(const carried<T, Rank>& s) noexcept {
  index_t slots = -1;
  const auto count = [&](const auto& part) {
    if (part && (slots < 0 || part.extent(0) < slots)) slots = part.extent(0);
  };
  count(s.initial), count(s.final), count(s.every.ring);
  return slots;
}
}  // namespace detail

/// One axis of an operand: its letter, and the extent it must have.
struct axis {
  const char* name;  // "T"
  index_t want;      // its extent
};

/// Collects the first complaint about one operation's operands.
class checker {
 public:
  /// Complaints begin with "rwkv7::" and this name.
  explicit checker(const char* operation) noexcept : operation_(operation) {}

  /// The operand is there and has these extents.
  template <class Tensor>
  checker& shape(const char* name, const Tensor& v, std::initializer_list<axis> axes) noexcept {
    if constexpr (requires { v.type(); })
      if (!problem_ && v && is_quantised(v.type()))
        problem_.complain("rwkv7::%s: %s: got %s, want f32, f16 or bf16", operation_, name, name_of(v.type()));
    return extents(name, v, axes);
  }
  /// A matrix for linear: neighbours along either axis are neighbours in memory, or it is quantised and its rows are
  /// whole blocks.
  checker& matrix(const char* name, const weights<2>& w, std::initializer_list<axis> axes) noexcept {
    if (!is_quantised(w.type())) return w.by_inputs() ? shape(name, w, axes) : operand(name, w, axes);
    const index_t block = quantised_block(w.type());
    extents(name, w, axes);
    if (!problem_ && w.extent(1) % block != 0)
      problem_.complain("rwkv7::%s: %s axis %s: got %lld, want a multiple of %lld for %s", operation_, name,
                        (axes.end() - 1)->name, static_cast<long long>(w.extent(1)), static_cast<long long>(block),
                        name_of(w.type()));
    return *this;
  }
  /// Neighbours along the last axis are neighbours in memory.
  template <class Tensor>
  checker& unit_stride(const char* name, const char* letter, const Tensor& v) noexcept {
    constexpr int last = Tensor::rank - 1;
    if (v.stride(last) != 1 && v.extent(last) > 1)
      problem_.complain("rwkv7::%s: %s axis %s: got stride %lld, want 1", operation_, name, letter,
                        static_cast<long long>(v.stride(last)));
    return *this;
  }
  /// shape and unit_stride in one: what nearly every operand must satisfy.
  template <class Tensor>
  checker& operand(const char* name, const Tensor& v, std::initializer_list<axis> axes) noexcept {
    return shape(name, v, axes).unit_stride(name, (axes.end() - 1)->name, v);
  }
  /// An output does not share memory with something that is read.
  template <class T, int R1, class U, int R2>
  checker& disjoint(const char* output, const view<T, R1>& out, const char* input, const view<U, R2>& in) noexcept {
    if (!problem_ && overlap(out, in)) problem_.complain("rwkv7::%s: %s overlaps %s", operation_, output, input);
    return *this;
  }
  /// The same for a parameter, which may be absent.
  template <class T, int R1, int R2>
  checker& disjoint(const char* output, const view<T, R1>& out, const char* parameter, const weights<R2>& w) noexcept {
    if constexpr (R2 == 2)
      if (w && is_quantised(w.type()))
        return disjoint(
            output, out, parameter,
            view<const std::byte, 1>(static_cast<const std::byte*>(w.data()),
                                     {static_cast<index_t>(quantised_size(w.type(), w.extent(0), w.extent(1)))}));
    return w ? w.visit([&](const auto& in) -> checker& { return disjoint(output, out, parameter, in); }) : *this;
  }
  /// In place is fine, partial overlap is not.
  template <class T, class U, int Rank>
  checker& same_or_disjoint(const char* output, const view<T, Rank>& out, const char* input,
                            const view<U, Rank>& in) noexcept {
    return view<const T, Rank>(out) == view<const T, Rank>(in) ? *this : disjoint(output, out, input, in);
  }
  /// A tensor that is written has no two elements in one place.
  template <class T, int Rank>
  checker& writable(const char* name, const view<T, Rank>& v) noexcept {
    for (int a = 0; a < Rank && !problem_; ++a)
      if (v.stride(a) == 0 && v.extent(a) > 1 && v.size() > 0)  // a dense tensor without elements has such strides
        problem_.complain("rwkv7::%s: %s axis %d: stride 0 cannot be written (a broadcast tensor is read only)",
                          operation_, name, a);
    return *this;
  }
  /// The snapshots, where any are taken, have these extents (slots and R first) and lie apart from the state.
  template <class T, int Rank>
  checker& snapshots_of(const carried<T, Rank>& s, const char* name, const char* state,
                        std::initializer_list<axis> axes) noexcept {
    const auto& ring = s.every.ring;
    if (!ring) return *this;
    shape(name, ring, axes);
    if (!problem_ && (s.every.first < 0 || s.every.first >= ring.extent(1)))
      problem_.complain("rwkv7::%s: %s: got first %lld, want 0 or more and less than R = %lld", operation_, name,
                        static_cast<long long>(s.every.first), static_cast<long long>(ring.extent(1)));
    return writable(name, ring).disjoint(name, ring, state, s.initial).disjoint(name, ring, state, s.final);
  }
  /// cu_seqlens starts at 0 and never falls; slots lie in [0, slots) and, when states are written, are distinct.
  checker& sequence_list(const sequences& seq, index_t slots, bool written) noexcept;

  /// H query heads share H_group heads evenly.
  checker& grouped(const char* name, index_t H, index_t H_group) noexcept {
    if (H_group < 1 ? H > 0 : H % H_group != 0)
      problem_.complain("rwkv7::%s: %s heads: got %lld, want a divisor of H = %lld", operation_, name,
                        static_cast<long long>(H_group), static_cast<long long>(H));
    return *this;
  }
  /// N was compiled in.
  checker& head_size(index_t N) noexcept {
    if (N > max_head_size)
      problem_.complain(
          "rwkv7::%s: head size N: got %lld, want at most %lld (define RWKV7_MAX_HEAD_SIZE to compile in more)",
          operation_, static_cast<long long>(N), static_cast<long long>(max_head_size));
    return *this;
  }
  /// There is enough scratch.
  checker& scratch(std::size_t got, std::size_t want) noexcept {
    if (got < want)
      problem_.complain("rwkv7::%s: workspace: got %llu bytes, want %llu", operation_,
                        static_cast<unsigned long long>(got), static_cast<unsigned long long>(want));
    return *this;
  }
  /// Any other condition on a number.
  checker& require(bool condition, const char* what, index_t got, const char* want) noexcept {
    if (!condition)
      problem_.complain("rwkv7::%s: %s: got %lld, want %s", operation_, what, static_cast<long long>(got), want);
    return *this;
  }

  /// The first complaint, or nothing.
  const diagnosis& result() const noexcept { return problem_; }

 private:
  template <class Tensor>
  checker& extents(const char* name, const Tensor& v, std::initializer_list<axis> axes) noexcept {
    if (problem_) return *this;
    index_t size = 1, total = 0;
    int a = 0;
    for (const auto& [letter, want] : axes) {
      size *= want;
      total += v.extent(a++);
    }
    if (!v && (size > 0 || total == 0)) {
      problem_.complain("rwkv7::%s: %s: not given", operation_, name);
      return *this;
    }
    a = 0;
    for (const auto& [letter, want] : axes) {
      if (v.extent(a) != want)
        problem_.complain("rwkv7::%s: %s axis %s: got %lld, want %lld", operation_, name, letter,
                          static_cast<long long>(v.extent(a)), static_cast<long long>(want));
      ++a;
    }
    return *this;
  }

  const char* operation_;
  diagnosis problem_;
};

inline checker& checker::sequence_list(const sequences& seq, index_t slots, bool written) noexcept {
  if (problem_) return *this;
  if (!seq.is_packed()) {
    require(seq.batch() >= 0, "B", seq.batch(), "0 or more").require(seq.tokens() >= 0, "T", seq.tokens(), "0 or more");
    if (!problem_ && slots >= 0 && slots < seq.batch())
      problem_.complain("rwkv7::%s: state slots: got %lld, want at least B = %lld", operation_,
                        static_cast<long long>(slots), static_cast<long long>(seq.batch()));
    return *this;
  }
  const auto& cu = seq.as_packed().cu_seqlens;
  const auto& slot_of = seq.as_packed().state_indices;
  const index_t n = seq.count();
  require(cu.size() >= 1, "cu_seqlens size", cu.size(), "at least 1");
  if (cu.size() >= 1) require(cu[0] == 0, "cu_seqlens[0]", cu[0], "0");
  for (index_t i = 0; i < n && !problem_; ++i)
    if (cu[i + 1] < cu[i])
      problem_.complain("rwkv7::%s: cu_seqlens[%lld]: got %lld, want at least the %lld before it", operation_,
                        static_cast<long long>(i + 1), static_cast<long long>(cu[i + 1]),
                        static_cast<long long>(cu[i]));
  if (problem_ || slots < 0) return *this;
  if (slot_of.size() == 0) {
    if (slots < n)
      problem_.complain("rwkv7::%s: state slots: got %lld, want at least %lld, one per sequence", operation_,
                        static_cast<long long>(slots), static_cast<long long>(n));
    return *this;
  }
  if (slot_of.size() != n) {
    problem_.complain("rwkv7::%s: state_indices size: got %lld, want %lld, one per sequence", operation_,
                      static_cast<long long>(slot_of.size()), static_cast<long long>(n));
    return *this;
  }
  for (index_t i = 0; i < n; ++i)
    if (slot_of[i] < 0 || slot_of[i] >= slots) {
      problem_.complain("rwkv7::%s: state_indices[%lld]: got %lld, want 0 to %lld", operation_,
                        static_cast<long long>(i), static_cast<long long>(slot_of[i]),
                        static_cast<long long>(slots - 1));
      return *this;
    }
  if (!written) return *this;  // Branches of one prompt may read the same slot.
  // One bit per slot, 16384 slots at a time, so that nothing is allocated.
  constexpr index_t window = 16384;
  for (index_t base = 0; base < slots; base += window) {
    std::uint64_t seen[window / 64] = {};
    for (index_t i = 0; i < n; ++i) {
      const index_t bit = slot_of[i] - base;
      if (bit < 0 || bit >= window) continue;
      auto& word = seen[bit / 64];
      const auto mask = std::uint64_t{1} << (bit % 64);
      if (word & mask) {
        problem_.complain("rwkv7::%s: state_indices[%lld]: got %lld again, want distinct slots", operation_,
                          static_cast<long long>(i), static_cast<long long>(slot_of[i]));
        return *this;
      }
      word |= mask;
    }
  }
  return *this;
}

}  // namespace rwkv7
