// SPDX-License-Identifier: MIT
// linear with quantised matrices, beside ggml's formats of as many bits. One matrix again and again, and (cold) as many
// as fill 256 MiB in turn, so that each comes from memory.
#include "peers/llama.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/quant/pack.hpp"
#include "support/executors.hpp"
#include "support/harness.hpp"

namespace rwkv7_bench {
namespace {

using namespace rwkv7;

/// ggml's blocks as ggml makes them: the largest of 32 becomes 127, or -8.
buffer<std::byte> in_ggml(const buffer<float>& x, bool four_bits) {
  buffer<std::byte> bytes;
  for (std::size_t first = 0; first < x.size(); first += 32) {
    float most = 0;
    for (std::size_t i = first; i < first + 32; ++i)
      if (std::fabs(x[i]) > std::fabs(most)) most = x[i];
    const float d = four_bits ? most / -8 : std::fabs(most) / 127, inverse = d == 0 ? 0 : 1 / d;
    const auto scale = f16::from_float(d).bits;
    bytes.push_back(static_cast<std::byte>(scale & 255)), bytes.push_back(static_cast<std::byte>(scale >> 8));
    const auto nibble = [&](std::size_t i) { return std::min(15, static_cast<int>(x[i] * inverse + 8.5f)); };
    for (std::size_t i = first; i < first + (four_bits ? 16 : 32); ++i)
      bytes.push_back(static_cast<std::byte>(four_bits ? nibble(i) | nibble(i + 16) << 4
                                                       : static_cast<int>(std::round(x[i] * inverse)) & 255));
  }
  return bytes;
}

struct problem {
  dtype type;
  index_t T, in, out;
  std::size_t copies, size;
  buffer<float> x, weight, y, y_rival;
  buffer<std::byte> packed;  // `copies` times, each on a cache line
  buffer<double> y_exact;

  problem(dtype type_, index_t T_, index_t in_, index_t out_, bool cold) : type(type_), T(T_), in(in_), out(out_) {
    x = noise(T * in), weight = noise(in * out, std::sqrt(3.0f / static_cast<float>(in)));
    y.resize(static_cast<std::size_t>(T * out)), y_rival = y;
    size = (quantised_size(type, out, in) + 63) / 64 * 64;
    copies = cold ? (std::size_t{256} << 20) / size + 1 : 1;
    packed.resize(copies * size);
    quant::pack(type, view<const float, 2>(weight.data(), {out, in}), std::span(packed).first(size));
    for (std::size_t i = 1; i < copies; ++i) std::memcpy(packed.data() + i * size, packed.data(), size);
    for (index_t t = 0; t < T; ++t)
      for (index_t o = 0; o < out; ++o) {
        double sum = 0;
        for (index_t i = 0; i < in; ++i)
          sum += static_cast<double>(weight[static_cast<std::size_t>(o * in + i)]) *
                 static_cast<double>(x[static_cast<std::size_t>(t * in + i)]);
        y_exact.push_back(sum);
      }
  }
  template <class Exec>
  void run(Exec& exec) {
    for (std::size_t i = 0; i < copies; ++i)
      linear(exec,
             linear_inputs<float>{.x = view<float, 3>(x.data(), {1, T, in}),
                                  .weight = weights<2>(packed.data() + i * size, type, {out, in})},
             {y.data(), {1, T, out}});
  }
};

rival llama_linear(const std::shared_ptr<problem>& p, int threads) {
  const bool four_bits = p->type == dtype::int4 || p->type == dtype::nf4;
  const auto op = std::make_shared<llama_operation>(threads, 2 * p->copies + 4);
  const auto x = op->input(ggml_type::f32, p->in, p->T);
  std::vector<ggml_tensor*> matrices, results;
  for (std::size_t i = 0; i < p->copies; ++i) {
    matrices.push_back(op->input(four_bits ? ggml_type::q4_0 : ggml_type::q8_0, p->in, p->out));
    results.push_back(llama()->ggml.ggml_mul_mat(op->context(), matrices.back(), x));
  }
  op->finish(results);
  const auto blocks = in_ggml(p->weight, four_bits);
  for (auto* const matrix : matrices) op->set(matrix, blocks);
  op->set(x, p->x);
  const auto error = [p, op] {
    op->run();
    op->get(p->y_rival);
    return max_err(p->y_rival, p->y_exact);
  };
  return {"llama.cpp", [op] { op->run(); }, error, [op] { op->rest(); }};
}

template <class Exec>
void add_shape(dtype type, index_t T, index_t in, index_t out, bool cold, std::shared_ptr<Exec> exec) {
  const auto threads = static_cast<int>(exec->concurrency());
  const std::string name = std::string("linear/forward/cpu/") + name_of(type) + "/T:" + std::to_string(T) +
                           "/in:" + std::to_string(in) + "/out:" + std::to_string(out) + (cold ? "/cold" : "") +
                           "/threads:" + std::to_string(threads);
  add(name, [=] {
    const auto p = std::make_shared<problem>(type, T, in, out, cold);
    const auto n = static_cast<double>(p->copies);
    const auto ours = [p, exec] { p->run(*exec); };
    const auto error = [p, ours] {
      ours();
      return max_err(p->y, p->y_exact);
    };
    subject s{.tokens = n * static_cast<double>(T),
              .flops = 2.0 * n * static_cast<double>(T * in * out),
              .bytes = n * (static_cast<double>(p->size) + 4.0 * static_cast<double>(T * (in + out))),
              .run = ours,
              .error = error};
    if (llama()) s.rivals.push_back(llama_linear(p, threads));
    return s;
  });
}

const int registered = [] {
  const auto add_type = [](dtype type, index_t T, index_t in, index_t out, bool cold) {
    add_shape(type, T, in, out, cold, one_thread());
    add_shape(type, T, in, out, cold, two_threads());
  };
  for (const auto type : {dtype::int8, dtype::int8_rows, dtype::int4, dtype::nf4}) {
    for (const bool cold : {true, false})
      for (const index_t C : {768, 2048}) add_type(type, 1, C, C, cold);
    add_type(type, 1, 10240, 2560, true);
    for (const index_t C : {768, 2048}) add_type(type, 128, C, C, false);
  }
  return 0;
}();

}  // namespace
}  // namespace rwkv7_bench
