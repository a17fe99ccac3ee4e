// SPDX-License-Identifier: MIT
/// From a Transformer, the teacher, to a linearised one before training: attention becomes time-mix.
#pragma once

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/model/initial_values.hpp"
#include "rwkv7/model/rename.hpp"
#include "rwkv7/model/transformer.hpp"

namespace rwkv7 {

/// What the teacher's projections, weights and biases, are multiplied by in time-mix layers.
struct projection_multipliers {
  float r = 1, k = 1, v = 1, o = 1;  // of q, k, v, o
};

/// Those of OpenMOSE's RWKVInside, by commit. Norms on queries and keys undo r and k, but for their eps.
constexpr projection_multipliers published_multipliers(linearised target, recipe which, bool qk_norm) noexcept {
  if (target == linearised::all_076 && !qk_norm) return {0.5f, 0.4f, 0.3f, 0.5f};                 // d144b11
  if (target != linearised::all_076 && which == recipe::latest) return {0.5f, 0.5f, 0.3f, 0.5f};  // d03af49
  return {1, 1, 0.3f, 0.5f};  // cxa076 with norms: 56cc141; cxa079: 4937155 to ae22207
}

/// How convert_teacher goes about it.
struct teacher_conversion {
  linearised target = linearised::all_079;              // what it becomes
  std::vector<index_t> attention_layers{};              // of hxa079: those that stay attention, ascending
  std::uint64_t seed = 0;                               // of the second factors of low-rank maps
  recipe published = recipe::original;                  // whose ranks and multipliers
  std::optional<projection_multipliers> multipliers{};  // instead of the published ones
};

/// Where a tensor of the new model comes from.
enum class tensor_origin : unsigned char {
  inherited,   // the teacher's, bit by bit, in its file
  multiplied,  // the teacher's times a multiplier, rounded once to its element type
  made         // an initial value, f32
};

/// A new model, and how it came about.
struct converted_teacher {
  renamed_tensors model{};               // those inherited are in the teacher's file
  std::vector<tensor_origin> origins{};  // one for each tensor
  nlohmann::ordered_json config{};       // config.json
  std::string architecture{};            // cxa076, cxa076r, cxa079 or hxa079
  time_mix_ranks ranks{};                // of its low-rank maps
  projection_multipliers multipliers{};  // that were applied
  std::vector<stored_tensor> dropped{};  // tensors of the teacher that it does without
  std::vector<std::string> settings{};   // of the teacher's config.json that it does without

  /// False when nothing was converted.
  explicit operator bool() const noexcept { return !model.tensors.empty(); }
};

namespace detail {

/// The tensor times m, each element rounded once. Complains, without a subject, where that is too much for its type.
template <class T>
std::vector<std::byte> multiplied(const stored_tensor& from, float m, std::string& complaint) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(from.size()) * sizeof(T));
  unpack(from, bytes.data());
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T x;
    std::memcpy(&x, bytes.data() + at, sizeof x);
    const auto exact = static_cast<double>(x) * static_cast<double>(m);  // of 24 digits each
    const T y = backend::reference::rounded<T>(exact);
    if (std::isfinite(exact) && !std::isfinite(static_cast<double>(y)))
      complaint = "an element times its multiplier is too large for " + std::string(traits_of(from.type).name);
    std::memcpy(bytes.data() + at, &y, sizeof y);
  }
  return bytes;
}

class teacher_converter {
 public:
  teacher_converter(const transformer& teacher, const teacher_conversion& how, converted_teacher& result)
      : teacher_(teacher), how_(how), result_(result) {}

  diagnosis convert() {
    check();
    if (problem_) return problem_;
    const bool normed = teacher_.qk_norm();
    constexpr const char* names[] = {"cxa076", "cxa079", "hxa079"};
    result_.architecture = names[static_cast<int>(how_.target)] + std::string(is_076() && normed ? "r" : "");
    result_.ranks = initial_ranks(how_.target, how_.published, teacher_.attention.D());
    result_.multipliers = how_.multipliers.value_or(published_multipliers(how_.target, how_.published, normed));
    result_.dropped = teacher_.needless;
    for (index_t i = 0; i < layers(); ++i)
      if (!is_attention(i)) time_mix_.push_back(i);
    write_config();
    inherit("emb.weight", teacher_.embedding);
    for (index_t i = 0; i < layers() && !problem_; ++i) add_layer(i);
    inherit("ln_out.weight", teacher_.norm);
    if (!teacher_.tied) inherit("head.weight", teacher_.head);
    return problem_;
  }

 private:
  bool is_076() const noexcept { return how_.target == linearised::all_076; }
  index_t layers() const noexcept { return static_cast<index_t>(teacher_.layers.size()); }
  bool is_attention(index_t layer) const {
    return std::binary_search(how_.attention_layers.begin(), how_.attention_layers.end(), layer);
  }

  void check() {
    const auto& list = how_.attention_layers;
    if (!teacher_) return complain("layers", "got 0, want 1 or more");
    if (how_.target == linearised::hybrid_079 && list.empty())
      complain("attention_layers", "got none, want some: without, it is a cxa079");
    if (how_.target != linearised::hybrid_079 && !list.empty())
      complain("attention_layers", "got " + std::to_string(list.size()) + ", want none: only hxa079 has some");
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i] < 0 || list[i] >= layers())
        complain("attention_layers", "got " + std::to_string(list[i]) + ", want 0 to " + std::to_string(layers() - 1));
      if (i > 0 && list[i] <= list[i - 1])
        complain("attention_layers", "got " + std::to_string(list[i]) + " after " + std::to_string(list[i - 1]) +
                                         ", want ascending layers");
    }
    if (static_cast<index_t>(list.size()) == layers())
      complain("attention_layers", "got all " + std::to_string(layers()) + " layers, want one that is not");
    if (is_076() && how_.published != recipe::original)
      complain("recipe", "got latest, want original: cxa076 has no other");
    if (how_.multipliers)
      for (const float m : {how_.multipliers->r, how_.multipliers->k, how_.multipliers->v, how_.multipliers->o})
        if (!std::isfinite(m)) complain("multipliers", "got what is not finite");
    if (!is_076() && teacher_.attention.N % 2 != 0)
      complain("head size", "got " + std::to_string(teacher_.attention.N) + ", want an even one, for rope");
    if (!is_076()) check_positive("rope_theta");
    check_positive("rms_norm_eps");
  }

  void check_positive(const char* key) {
    const auto at = teacher_.config.find(key);
    const std::string subject = std::string("config.json: ") + key;
    if (at == teacher_.config.end()) return complain(subject, "is missing");
    if (!at->is_number() || !(at->get<double>() > 0)) complain(subject, "want a number above 0");
  }

  /// What tensors do not tell, under the names of RWKV-Infer's published models (rwkv_gate is ours), then what the
  /// teacher's says.
  void write_config() {
    auto& config = result_.config;
    const auto& d = teacher_.attention;
    config = {{"rwkv_architecture", result_.architecture},
              {"transformer_layers", how_.attention_layers},
              {"rwkv_layers", time_mix_},
              {"enable_qk_norm", teacher_.qk_norm()},
              {"nope_in_transformer", true},
              {"nope_in_rwkv", is_076()}};
    if (is_076()) config["rwkv_gate"] = "sigmoid";
    config["num_key_value_heads"] = d.H_kv;
    config["head_dim"] = d.N;
    config["tie_word_embeddings"] = teacher_.tied;
    for (const auto& [key, value] : teacher_.config.items()) {
      // Neither the class of the teacher nor rotations that time-mix was never trained with: it rotates whole heads, by
      // rope_theta alone.
      const bool other = key == "architectures" || key == "auto_map";
      const bool rope = key == "rope_scaling" || key == "rope_parameters" || key == "partial_rotary_factor";
      if ((rope || other) && !value.is_null())
        result_.settings.push_back(key);
      else if (!config.contains(key))
        config[key] = value;
    }
  }

  void add_layer(index_t i) {
    const auto& layer = teacher_.layers[static_cast<std::size_t>(i)];
    prefix_ = "blocks." + std::to_string(i) + ".";
    inherit("ln1.weight", layer.attention_norm);
    inherit("ln2.weight", layer.mlp_norm);
    if (is_attention(i))
      add_attention(layer);
    else
      add_time_mix(layer, i);
    if (layer.q_norm) inherit("att.ln_r.weight", *layer.q_norm);
    if (layer.k_norm) inherit("att.ln_k.weight", *layer.k_norm);
    inherit("ffn.gate.weight", layer.gate);
    inherit("ffn.up.weight", layer.up);
    inherit("ffn.down.weight", layer.down);
    prefix_.clear();
  }

  void add_attention(const transformer_layer& layer) {
    multiply("att.q_proj", layer.q, 1);
    multiply("att.k_proj", layer.k, 1);
    multiply("att.v_proj", layer.v, 1);
    multiply("att.o_proj", layer.o, 1);
  }

  void add_time_mix(const transformer_layer& layer, index_t i) {
    const auto& m = result_.multipliers;
    multiply("att.receptance", layer.q, m.r);
    multiply("att.key", layer.k, m.k);
    multiply("att.value", layer.v, m.v);
    multiply("att.output", layer.o, m.o);
    const auto& d = teacher_.attention;
    const auto values = initial_vectors(how_.target, d, i, layers());
    const auto& ranks = result_.ranks;
    make("att.w0", {1, 1, d.D()}, values.w0);
    make_low_rank("att.w", ranks.w, d.D());
    make("att.a0", {1, 1, d.D()}, values.a0);
    make_low_rank("att.a", ranks.a, d.D());
    const bool first = i == time_mix_.front();  // to whose keys and values the others lean
    if (!first) {
      make("att.v0", {1, 1, static_cast<index_t>(values.v0.size())}, values.v0);
      make_low_rank("att.v", ranks.v, static_cast<index_t>(values.v0.size()));
    }
    if (!first && !is_076()) {
      make("att.k0", {1, 1, d.D_kv()}, values.k0);
      make_low_rank("att.k", ranks.k, d.D_kv());
    }
    make_low_rank("att.g", ranks.g, d.D());
    make("att.r_k", {d.H, d.N}, values.r_k);
  }

  void inherit(const std::string& name, const stored_tensor& from) { add(from, name, tensor_origin::inherited); }

  void multiply(const std::string& name, const transformer_linear& from, float m) {
    multiply(name + ".weight", from.weight, m);
    if (from.bias) multiply(name + ".bias", *from.bias, m);
  }
  void multiply(const std::string& name, const stored_tensor& from, float m) {
    if (m == 1) return inherit(name, from);
    std::string complaint;
    auto bytes = from.type == storage::f32   ? multiplied<float>(from, m, complaint)
                 : from.type == storage::f16 ? multiplied<f16>(from, m, complaint)
                                             : multiplied<bf16>(from, m, complaint);
    if (!complaint.empty()) return complain(from.name, complaint);
    add_own(name, from.type, from.shape, std::move(bytes), tensor_origin::multiplied);
  }

  /// f32, whatever the teacher has: neighbours in w0 are closer than bf16 can tell, and rounded factors would not be
  /// orthogonal.
  void make(const std::string& name, const std::vector<index_t>& shape, const std::vector<float>& values) {
    std::vector<std::byte> bytes(values.size() * sizeof(float));
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    add_own(name, storage::f32, shape, std::move(bytes), tensor_origin::made);
  }
  void make_low_rank(const std::string& name, index_t rank, index_t width) {
    const index_t C = teacher_.attention.C;
    make(name + "1", {C, rank}, std::vector<float>(static_cast<std::size_t>(C * rank)));
    make(name + "2", {rank, width}, initial_factor(rank, width, how_.seed, prefix_ + name + "2"));
  }

  void add_own(const std::string& name, storage type, const std::vector<index_t>& shape, std::vector<std::byte> bytes,
               tensor_origin origin) {
    auto& kept = result_.model.made.emplace_back(std::move(bytes));
    add({"", type, shape, dense_strides(shape), kept}, name, origin);
  }
  void add(stored_tensor tensor, const std::string& name, tensor_origin origin) {
    tensor.name = prefix_ + name;
    result_.model.tensors.push_back(std::move(tensor));
    result_.origins.push_back(origin);
  }

  void complain(const std::string& subject, const std::string& what) {
    problem_.complain("rwkv7::convert_teacher: %s: %s: %s", teacher_.file.name.c_str(), shown(subject, 60).c_str(),
                      what.c_str());
  }

  const transformer& teacher_;
  const teacher_conversion& how_;
  converted_teacher& result_;
  std::vector<index_t> time_mix_;  // the other layers
  std::string prefix_;             // of the layer's names
  diagnosis problem_;
};

}  // namespace detail

/// Makes a model of the teacher's parameters and of initial values: cxa076 (cxa076r where queries and keys are normed),
/// cxa079, or hxa079, which keeps attention in some layers. Names are those of published models for inference
/// (tests/golden/README.md has them).
///
///   teacher    must outlive the result, which refers to what is inherited
///   inherited  embedding, norms (q_norm and k_norm as att.ln_r and att.ln_k), MLP, head; q, k, v, o of attention
///   multiplied q, k, v, o as receptance, key, value, output, with their biases; inherited where the multiplier is 1
///   made       the low-rank maps, w0 a0 v0 k0 r_k. The first time-mix layer that runs has no v0 v1 v2 k0 k1 k2
///   config     of the new model: rwkv_architecture, transformer_layers, rwkv_layers, enable_qk_norm,
///              nope_in_transformer (true: its attention has no rope), nope_in_rwkv (true in cxa076), and for cxa076
///              rwkv_gate "sigmoid", its second form; then the teacher's own
///   dropped    tables of rope, the copy of a tied head. Of config.json: the class of the teacher, and what of its rope
///              is not rope_theta (rope_scaling, partial_rotary_factor), which training has to make up for
///
/// The same teacher, options and seed give the same bits. rwkv7::error names what does not fit: an odd head size with
/// rope, attention_layers that are not ascending or not there, settings that are missing; where exceptions are off the
/// result is then empty. Takes memory for all that is not inherited; time as initial_factor for three to five
/// matrices a layer.
inline converted_teacher convert_teacher(const transformer& teacher, const teacher_conversion& how) {
  converted_teacher result;
  const auto problem = detail::teacher_converter(teacher, how, result).convert();
  if (!problem) return result;
  report(problem);
  return {};
}

}  // namespace rwkv7
