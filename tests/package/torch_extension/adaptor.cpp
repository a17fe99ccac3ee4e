// SPDX-License-Identifier: MIT
// rwkv7/adapt/torch.hpp: what becomes a view, and what is refused with which words.
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <rwkv7/adapt/torch.hpp>
#include <string>

using namespace rwkv7;

namespace {

void check(bool good, const char* what) {
  if (good) return;
  std::printf("FAILED: %s\n", what);
  std::exit(1);
}

template <class F>
void refuses(const std::string& message, F&& call) {
  std::string got = "nothing";
  try {
    call();
  } catch (const error& e) {
    got = e.what();
  }
  if (got != message) std::printf("got  %s\nwant %s\n", got.c_str(), message.c_str());
  check(got == message, "the message");
}

}  // namespace

int main() {
  torch::NoGradGuard no_grad;
  const auto x = torch::arange(24, torch::kFloat).view({2, 3, 4});
  check(as_view<const float, 3>(x) == view<const float, 3>(x.data_ptr<float>(), {2, 3, 4}), "a dense tensor");
  check(as_view<float, 3>(x.transpose(0, 1)) == view<float, 3>(x.data_ptr<float>(), {3, 2, 4}, {4, 12, 1}),
        "a transpose");
  check(as_view<float, 2>(x.select(1, 2)).data() == x.data_ptr<float>() + 8, "a slice");
  check(as_view<const float, 3>(x.expand({2, 3, 4})).size() == 24, "an expanded tensor");
  check(as_view<float, 1>(torch::empty({0})).size() == 0, "an empty tensor");
  check(as_view<double, 1>(torch::zeros({2}, torch::kDouble)).size() == 2, "double");
  check(as_view<f16, 1>(torch::zeros({2}, torch::kHalf)).size() == 2, "half");
  check(as_view<bf16, 1>(torch::zeros({2}, torch::kBFloat16)).size() == 2, "bfloat16");
  check(as_view<std::int32_t, 1>(torch::zeros({2}, torch::kInt)).size() == 2, "int");
  check(as_view<const std::int64_t, 1>(torch::zeros({2}, torch::kLong)).size() == 2, "long");

  const auto W = torch::randn({5, 7});
  check(as_weights<2>(W).type() == dtype::f32 && as_weights<2>(W.to(torch::kHalf)).type() == dtype::f16, "parameters");
  const auto half_precision = W.to(torch::kBFloat16);
  const auto w = as_weights<2>(half_precision);
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 7; ++j) check(w(i, j) == half_precision[i][j].item<double>(), "bfloat16 means the same");

  refuses("rwkv7::as_view: torch tensor: is undefined", [] { as_view<float, 1>(torch::Tensor()); });
  refuses("rwkv7::as_view: torch tensor: is undefined", [] { as_weights<1>(torch::Tensor()); });
  refuses("rwkv7::as_view: torch tensor: got elements of type Float, want Double", [&] { as_view<double, 3>(x); });
  refuses("rwkv7::as_view: torch tensor: got elements of type Double, want Float",
          [&] { as_weights<3>(x.to(torch::kDouble)); });
  refuses("rwkv7::as_view: torch tensor: got 3 axes, want 4", [&] { as_view<float, 4>(x); });
  refuses("rwkv7::as_view: torch tensor: is on device meta with layout 0, want strided memory of the CPU",
          [] { as_view<float, 1>(torch::empty({2}, torch::kMeta)); });
  refuses("rwkv7::as_view: torch tensor: is on device cpu with layout 1, want strided memory of the CPU",
          [] { as_view<float, 2>(torch::eye(2).to_sparse()); });
  refuses("rwkv7::as_view: torch tensor: is negated lazily, call resolve_neg()",
          [] { as_view<float, 1>(torch::imag(torch::conj(torch::ones({2}, torch::kComplexFloat)))); });
  std::puts("the adaptor: all good");
}
