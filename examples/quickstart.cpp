// SPDX-License-Identifier: MIT
// WKV-7 as an associative memory. The state of a head is a matrix S that answers a key with a value:
//
//   S_t = S_{t-1} diag(w) + (S_{t-1} a) bᵀ + v kᵀ          y_t = S_t r
//
// Here w = 1: nothing fades. With a = -k and b = k (‖k‖ = 1), a write first takes out what the key answers so far; that
// is the delta rule, and S k = v afterwards. With b = 0 a write only adds: a key written twice answers with the sum.
//
// One head learns 24 countries with a capital each, half of them with a former one, and then learns those anew.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <rwkv7/timemix.hpp>
#include <string_view>
#include <vector>

using namespace rwkv7;

struct country {
  const char *name, *capital, *former = "";
};
constexpr country countries[] = {{"Australia", "Canberra", "Melbourne"},
                                 {"Austria", "Vienna"},
                                 {"Brazil", "Brasilia", "Rio de Janeiro"},
                                 {"Chile", "Santiago"},
                                 {"China", "Beijing", "Nanjing"},
                                 {"Cuba", "Havana"},
                                 {"Denmark", "Copenhagen"},
                                 {"Egypt", "Cairo", "Alexandria"},
                                 {"Finland", "Helsinki", "Turku"},
                                 {"France", "Paris"},
                                 {"Germany", "Berlin", "Bonn"},
                                 {"Ghana", "Accra"},
                                 {"Greece", "Athens"},
                                 {"Hungary", "Budapest"},
                                 {"India", "New Delhi", "Kolkata"},
                                 {"Ireland", "Dublin"},
                                 {"Japan", "Tokyo", "Kyoto"},
                                 {"Kazakhstan", "Astana", "Almaty"},
                                 {"Kenya", "Nairobi"},
                                 {"Mexico", "Mexico City"},
                                 {"Nigeria", "Abuja", "Lagos"},
                                 {"Pakistan", "Islamabad", "Karachi"},
                                 {"Peru", "Lima"},
                                 {"Tanzania", "Dodoma", "Dar es Salaam"}};

constexpr index_t N = 64;  // the length of keys and values
using vector = std::array<float, N>;

// A direction for every name, the same on every machine; any two are nearly orthogonal.
vector direction(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  std::mt19937 random(hash);
  vector x;
  for (float& e : x) e = static_cast<float>(random()) * 0x1p-31f - 1;
  const float norm = std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0f));
  for (float& e : x) e /= norm;
  return x;
}

class memory {
 public:
  explicit memory(bool delta_rule) : delta_rule_(delta_rule) {}

  void write(const vector& key, const vector& value) {
    vector a{}, b{};
    for (std::size_t i = 0; i < N; ++i) a[i] = -key[i], b[i] = delta_rule_ ? key[i] : 0;
    step({}, key, value, a, b);
  }
  vector read(const vector& key) { return step(key, {}, {}, {}, {}); }

 private:
  // One token for one head; the state stays in place.
  vector step(const vector& r, const vector& k, const vector& v, const vector& a, const vector& b) {
    const auto in = [](const vector& x) { return as_view(x, {1, 1, 1, N}); };
    vector w, y;
    w.fill(1);
    wkv7(inline_executor{}, dense{1, 1},
         wkv7_inputs<float>{
             .r = in(r), .w = decay<float>::factor(in(w)), .k = in(k), .v = in(v), .a = in(a), .b = in(b)},
         as_view(y, {1, 1, 1, N}), state<float>::in_place(as_view(S_, {1, 1, N, N})));
    return y;
  }

  bool delta_rule_;
  std::vector<float> S_ = std::vector<float>(N * N);
};

// The city whose direction is the nearest.
std::string_view nearest(const vector& y) {
  std::string_view best;
  float most = -1;
  for (const auto& c : countries)
    for (const std::string_view city : {c.capital, c.former}) {
      const vector x = direction(city);
      const float cosine = std::inner_product(x.begin(), x.end(), y.begin(), 0.0f);
      if (!city.empty() && cosine > most) most = cosine, best = city;
    }
  return best;
}

// How many countries answer with their capital in the end.
std::size_t recalled(bool delta_rule) {
  memory m(delta_rule);
  for (const auto& c : countries) m.write(direction(c.name), direction(*c.former ? c.former : c.capital));
  for (const auto& c : countries)
    if (*c.former) m.write(direction(c.name), direction(c.capital));
  std::size_t right = 0;
  for (const auto& c : countries) {
    const auto city = nearest(m.read(direction(c.name)));
    if (city != c.capital) std::printf("  %s? %.*s.\n", c.name, static_cast<int>(city.size()), city.data());
    right += city == c.capital;
  }
  return right;
}

int main() {
  const std::size_t all = std::size(countries);
  std::printf("with the delta rule (a = -k, b = k):\n");
  const auto with = recalled(true);
  std::printf("  %zu of %zu capitals come back\nwithout it (b = 0):\n", with, all);
  const auto without = recalled(false);
  std::printf("  %zu of %zu capitals come back\n", without, all);

  memory m(true);
  const vector key = direction("key"), value = direction("value");
  const auto start = std::chrono::steady_clock::now();
  const int tokens = 20000;
  for (int t = 0; t < tokens; ++t) m.write(key, value);
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
  std::printf("%.2f microseconds per token written (one head of %lld x %lld, one thread)\n", time.count() / tokens,
              static_cast<long long>(N), static_cast<long long>(N));
  return with == all ? 0 : 1;
}
