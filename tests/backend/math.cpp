// SPDX-License-Identifier: MIT
// exp, expm1, tanh, sigmoid and softplus against double, in units of the last place of the float result.
#include "rwkv7/backend/cpu/math.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "support/architectures.hpp"

namespace cpu = rwkv7::backend::cpu;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

struct exp_function {
  static constexpr const char* name = "exp";
  static constexpr double bound = 1.02;
  template <class Arch>
  static cpu::vec<Arch> on_registers(const cpu::vec<Arch>& x) {
    return cpu::exp<Arch>(x);
  }
  static double exact(double x) { return std::exp(x); }
};
struct expm1_function {
  static constexpr const char* name = "expm1";
  static constexpr double bound = 1.54;
  template <class Arch>
  static cpu::vec<Arch> on_registers(const cpu::vec<Arch>& x) {
    return cpu::expm1<Arch>(x);
  }
  static double exact(double x) { return std::expm1(x); }
};
struct tanh_function {
  static constexpr const char* name = "tanh";
  static constexpr double bound = 1.47;
  template <class Arch>
  static cpu::vec<Arch> on_registers(const cpu::vec<Arch>& x) {
    return cpu::tanh<Arch>(x);
  }
  static double exact(double x) { return std::tanh(x); }
};
struct sigmoid_function {
  static constexpr const char* name = "sigmoid";
  static constexpr double bound = 2.41;
  template <class Arch>
  static cpu::vec<Arch> on_registers(const cpu::vec<Arch>& x) {
    return cpu::sigmoid<Arch>(x);
  }
  static double exact(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
};

struct softplus_function {
  static constexpr const char* name = "softplus";
  static constexpr double bound = 2.80;
  template <class Arch>
  static cpu::vec<Arch> on_registers(const cpu::vec<Arch>& x) {
    return cpu::softplus<Arch>(x);
  }
  static double exact(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
};

template <class Function, class Arch>
void evaluate(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; i += static_cast<std::size_t>(cpu::lanes<Arch>))
    cpu::store<Arch>(y + i, Function::template on_registers<Arch>(cpu::load<Arch>(x + i)));
}

template <class Function, class Arch>
float value(float x) {
  std::array<float, 16> in{}, out{};
  in.fill(x);
  evaluate<Function, Arch>(in.data(), in.size(), out.data());
  for (const float y : out) CHECK(std::bit_cast<std::uint32_t>(y) == std::bit_cast<std::uint32_t>(out[0]));
  return out[0];
}

/// |got - want| in ulps of want: 2^-149 among subnormals; infinity counts as the 2^128 that it stands for.
double ulps(float got, double want) {
  constexpr double least_infinite = 0x1p128;
  want = std::min(want, least_infinite);
  const double g = std::isinf(got) ? std::copysign(least_infinite, got) : double(got);
  if (std::isnan(g)) return std::numeric_limits<double>::infinity();
  const auto exponent = static_cast<int>(std::bit_cast<std::uint64_t>(want) >> 52 & 0x7ff) - 1023;
  const auto unit = static_cast<std::uint64_t>(std::clamp(exponent, -126, 127) - 23 + 1023) << 52;
  return std::fabs(g - want) / std::bit_cast<double>(unit);
}

/// The worst error of each architecture over the floats it was shown.
template <class Function>
class measurement {
 public:
  void operator()(std::uint32_t bits) {
    const float x = std::bit_cast<float>(bits);
    if (std::isnan(x) || std::isinf(x)) return;
    x_[count_] = x;
    want_[count_] = Function::exact(double(x));
    if (++count_ == x_.size()) flush();
  }
  void flush() {
    if (count_ == 0) return;
    std::fill(x_.begin() + static_cast<std::ptrdiff_t>(count_), x_.end(), 0.0f);
    std::size_t arch = 0;
    rwkv7_test::for_each_architecture([&]<class Arch>(Arch) {
      auto& w = worst_[arch++];
      w.arch = Arch::name();
      evaluate<Function, Arch>(x_.data(), x_.size(), y_.data());
      for (std::size_t i = 0; i < count_; ++i)
        if (const double error = ulps(y_[i], want_[i]); error > w.error) w.error = error, w.at = x_[i];
    });
    count_ = 0;
  }
  void report(bool always) {
    flush();
    for (const auto& w : worst_) {
      if (!w.arch) continue;
      const std::string text = std::string(Function::name) + " on " + w.arch + ": " + std::to_string(w.error) +
                               " ulp at " + std::to_string(w.at);
      INFO(text);
      CHECK(w.error <= Function::bound);
      CHECK(w.error >= 0.45);  // else nothing was measured
      if (always) MESSAGE(text);
    }
  }

 private:
  struct worst {
    const char* arch = nullptr;
    double error = 0;
    float at = 0;
  };
  std::array<float, 1024> x_{}, y_{};
  std::array<double, 1024> want_{};
  std::size_t count_ = 0;
  std::array<worst, 8> worst_{};
};

/// Both signs of all floats in [from, to), every `step`th.
template <class F>
void for_floats(float from, float to, std::uint32_t step, F& f) {
  for (std::uint32_t u = std::bit_cast<std::uint32_t>(from); u < std::bit_cast<std::uint32_t>(to); u += step) {
    f(u);
    f(u | 0x80000000u);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("the error stays within the bound that the header states", Function, exp_function, expm1_function,
                   tanh_function, sigmoid_function, softplus_function) {
  measurement<Function> errors;
  for_floats(0.0f, infinity, 2003, errors);  // all magnitudes
  for_floats(0.01f, 110.0f, 257, errors);    // where the functions live
  for_floats(0.54f, 0.56f, 7, errors);       // tanh changes its formula
  for_floats(0.34f, 0.35f, 7, errors);       // expm1 does
  for_floats(87.0f, 89.0f, 7, errors);       // exp(-x) becomes subnormal, exp(x) overflows
  for_floats(103.0f, 105.0f, 7, errors);     // exp(-x) becomes 0
  for (int n = 1; n < 150; ++n) {            // exp changes its power of two
    const auto middle = static_cast<float>((n - 0.5) * 0.69314718055994531);
    for_floats(middle, middle * 1.00001f, 1, errors);
    for_floats(middle * 0.99999f, middle, 1, errors);
  }
  errors.report(false);
}

// Minutes; run it by hand after a change of math.hpp: --no-skip --test-case='*all floats*'
TEST_CASE_TEMPLATE("the error over all floats" * doctest::skip(), Function, exp_function, expm1_function, tanh_function,
                   sigmoid_function, softplus_function) {
  measurement<Function> errors;
  for_floats(0.0f, infinity, 1, errors);
  errors.report(true);
}

TEST_CASE("NaN, infinities and zeros") {
  rwkv7_test::for_each_architecture([]<class Arch>(Arch) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const float x : {nan, -nan, std::numeric_limits<float>::signaling_NaN()}) {
      CHECK(std::isnan(value<exp_function, Arch>(x)));
      CHECK(std::isnan(value<expm1_function, Arch>(x)));
      CHECK(std::isnan(value<tanh_function, Arch>(x)));
      CHECK(std::isnan(value<sigmoid_function, Arch>(x)));
    }
    CHECK(value<exp_function, Arch>(infinity) == infinity);
    CHECK(value<exp_function, Arch>(-infinity) == 0.0f);
    CHECK(value<exp_function, Arch>(0.0f) == 1.0f);
    CHECK(value<exp_function, Arch>(-0.0f) == 1.0f);
    CHECK(value<expm1_function, Arch>(infinity) == infinity);
    CHECK(value<expm1_function, Arch>(-infinity) == -1.0f);
    CHECK(value<expm1_function, Arch>(0.0f) == 0.0f);
    CHECK(value<expm1_function, Arch>(-0.0f) == 0.0f);
    CHECK(value<tanh_function, Arch>(infinity) == 1.0f);
    CHECK(value<tanh_function, Arch>(-infinity) == -1.0f);
    CHECK(value<tanh_function, Arch>(0.0f) == 0.0f);
    CHECK(!std::signbit(value<tanh_function, Arch>(0.0f)));
    CHECK(std::signbit(value<tanh_function, Arch>(-0.0f)));
    CHECK(value<sigmoid_function, Arch>(infinity) == 1.0f);
    CHECK(value<sigmoid_function, Arch>(-infinity) == 0.0f);
    CHECK(value<sigmoid_function, Arch>(0.0f) == 0.5f);
    CHECK(value<sigmoid_function, Arch>(-0.0f) == 0.5f);
  });
}

TEST_CASE("exp reaches the largest float and the smallest subnormal, and goes no further") {
  rwkv7_test::for_each_architecture([]<class Arch>(Arch) {
    const float last = 88.72283f;  // exp of it is the last that is finite: 3.4027985e38
    CHECK(std::isfinite(value<exp_function, Arch>(last)));
    CHECK(value<exp_function, Arch>(last) > 3.4027e38f);
    CHECK(value<exp_function, Arch>(std::nextafter(last, infinity)) == infinity);
    CHECK(value<exp_function, Arch>(-103.0f) == 0x1p-149f);
    CHECK(value<exp_function, Arch>(-104.0f) == 0.0f);
    CHECK(value<exp_function, Arch>(-1e30f) == 0.0f);
    CHECK(value<exp_function, Arch>(1e30f) == infinity);
    CHECK(value<sigmoid_function, Arch>(-103.0f) == 0x1p-149f);  // does not end at 1 / infinity
  });
}

TEST_CASE("tanh is odd to the last bit, sigmoid within [0, 1], tiny arguments pass through") {
  rwkv7_test::for_each_architecture([]<class Arch>(Arch) {
    for (float x = 1e-45f; x < 1e38f; x *= 1.7f) {
      const float positive = value<tanh_function, Arch>(x), negative = value<tanh_function, Arch>(-x);
      CHECK(positive == -negative);
      CHECK(positive <= 1.0f);
      CHECK(value<sigmoid_function, Arch>(x) <= 1.0f);
      CHECK(value<sigmoid_function, Arch>(-x) >= 0.0f);
      if (x < 1e-4f) CHECK(positive == x);
      if (x < 1e-8f) CHECK(value<expm1_function, Arch>(x) == x);
    }
  });
}
