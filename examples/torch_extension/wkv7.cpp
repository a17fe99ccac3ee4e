// SPDX-License-Identifier: MIT
// The PyTorch operator rwkv7::wkv7, forward on CPU:
//
//   torch.ops.load_library("rwkv7_torch.so")
//   y = torch.ops.rwkv7.wkv7(r, w, k, v, a, b, state, decay="logit")
//
// The state is changed in place, which the schema says. Work runs on PyTorch's own threads; for any number of them the
// result is the same to the last bit. Mistakes are a ValueError with the library's words.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/library.h>

#include <rwkv7/adapt/torch.hpp>
#include <rwkv7/timemix.hpp>
#include <string>

namespace {

using at::Tensor;
using rwkv7::as_view;
using rwkv7::index_t;

using operand = rwkv7::view<const float, 4>;

rwkv7::decay<float> decay_of(const std::string& form, operand w) {
  if (form == "factor") return rwkv7::decay<float>::factor(w);
  if (form == "log") return rwkv7::decay<float>::log(w);
  if (form == "loglog") return rwkv7::decay<float>::loglog(w);
  if (form == "logit") return rwkv7::decay<float>::logit(w);
  throw rwkv7::error("rwkv7::wkv7: decay: got '" + form + "', want factor, log, loglog or logit");
}

Tensor wkv7_cpu(const Tensor& r, const Tensor& w, const Tensor& k, const Tensor& v, const Tensor& a, const Tensor& b,
                const Tensor& state, std::string decay) {
  Tensor y = at::empty_like(r, at::MemoryFormat::Contiguous);
  const auto in = [](const Tensor& x) { return as_view<const float, 4>(x); };
  rwkv7::bulk_executor exec(at::get_num_threads(), [](index_t n, auto& task) {
    at::parallel_for(0, n, 1, [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) task(i);
    });
  });
  rwkv7::wkv7(exec, rwkv7::dense{in(r).extent(0), in(r).extent(1)},
              rwkv7::wkv7_inputs<float>{
                  .r = in(r), .w = decay_of(decay, in(w)), .k = in(k), .v = in(v), .a = in(a), .b = in(b)},
              as_view<float, 4>(y), rwkv7::state<float>::in_place(as_view<float, 4>(state)));
  return y;
}

// Shapes only, for torch.compile and the meta device.
Tensor wkv7_meta(const Tensor& r, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                 const Tensor&, std::string) {
  return at::empty_like(r, at::MemoryFormat::Contiguous);
}

}  // namespace

TORCH_LIBRARY(rwkv7, m) {
  m.def("wkv7(Tensor r, Tensor w, Tensor k, Tensor v, Tensor a, Tensor b, Tensor(s!) state, *, str decay) -> Tensor");
}
TORCH_LIBRARY_IMPL(rwkv7, CPU, m) { m.impl("wkv7", wkv7_cpu); }
TORCH_LIBRARY_IMPL(rwkv7, Meta, m) { m.impl("wkv7", wkv7_meta); }
// A gradient that is asked for is an error, not a silent zero.
TORCH_LIBRARY_IMPL(rwkv7, Autograd, m) { m.impl("wkv7", torch::autograd::autogradNotImplementedFallback()); }
