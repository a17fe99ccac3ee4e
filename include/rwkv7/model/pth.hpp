// SPDX-License-Identifier: MIT
/// Reads .pth files: a dictionary of tensors as torch.save writes it since 1.6, which is how RWKV-LM releases models.
///
///   a zip archive of stored entries   <root>/data.pkl, <root>/data/<key> (one storage each), <root>/byteorder
///
/// Tensors may be any strided part of a storage. Nothing in the file is trusted, and nothing in it is run.
#pragma once

#include "rwkv7/model/pickle.hpp"
#include "rwkv7/model/tensor.hpp"
#include "rwkv7/model/zip.hpp"

namespace rwkv7 {

namespace detail {

/// The part of its storage that a tensor covers, or a sentence about why it covers none.
inline std::string bind_storage(const pickled_tensor& from, std::span<const std::byte> storage, stored_tensor& to) {
  const index_t size = traits_of(from.type).bytes, elements = static_cast<index_t>(storage.size()) / size;
  if (from.elements != elements || static_cast<index_t>(storage.size()) % size != 0)
    return "storage: got " + std::to_string(storage.size()) + " bytes, want " + std::to_string(from.elements) + " " +
           std::string(traits_of(from.type).name);
  const std::string outside = "lies outside its storage of " + std::to_string(elements) + " elements";
  if (from.offset < 0 || from.offset > elements) return outside;
  to.type = from.type;
  to.shape = from.shape;
  to.strides = from.strides;
  const bool empty = std::count(from.shape.begin(), from.shape.end(), 0) > 0;
  index_t count = 1, last = from.offset;
  for (std::size_t a = 0; a < from.shape.size(); ++a) {
    const index_t extent = from.shape[a], stride = from.strides[a];
    if (extent < 0 || stride < 0) return "has a negative extent or stride";
    if (extent == 1) to.strides[a] = 0;  // says nothing, whatever it is
    if (empty || extent == 1) continue;
    // An element met twice (stride 0) costs nothing in the file: what the shape may claim is bounded all the same.
    if (count > elements / extent || stride > (elements - last) / (extent - 1)) return outside;
    count *= extent;
    last += stride * (extent - 1);
  }
  if (!dense_bytes(from.type, from.shape)) return "has a shape of too many elements";
  if (!empty && last >= elements) return outside;
  if (empty) to.strides = dense_strides(from.shape);
  to.bytes = storage.subspan(static_cast<std::size_t>(from.offset * size),
                             static_cast<std::size_t>(empty ? 0 : (last - from.offset + 1) * size));
  return {};
}

/// How files of torch before 1.6 begin: protocol 2, then a number of ten bytes.
constexpr std::string_view legacy_pth = "\x80\x02\x8a\x0a";

inline diagnosis read_pth(tensor_file& file, std::span<const std::byte> bytes) {
  constexpr std::size_t most_code = 2'000'000;  // bytes of data.pkl; two thousand tensors take a quarter of it
  diagnosis problem;
  const auto complain = [&](std::string_view subject, const std::string& what) {
    problem.complain("rwkv7::pth: %s: %s%s%s", file.name.c_str(), shown(subject, 60).c_str(),
                     subject.empty() ? "" : ": ", shown(what, 120).c_str());
    return problem;
  };
  std::string what;
  if (std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with(legacy_pth))
    return complain("", "is of torch before 1.6: save it again with torch 1.6 or newer");
  const auto entries = zip_entries(bytes, what);
  if (!what.empty()) return complain("", what);
  const auto code =
      std::find_if(entries.begin(), entries.end(), [](const auto& e) { return e.name.ends_with("/data.pkl"); });
  if (code == entries.end()) return complain("", "has no data.pkl: is no file of torch.save");
  if (code->bytes.size() > most_code)
    return complain("data.pkl",
                    "bytes: got " + std::to_string(code->bytes.size()) + ", want at most " + std::to_string(most_code));
  const auto root = code->name.substr(0, code->name.size() - 8);
  const auto find = [&](const std::string& name) -> const zip_entry* {
    const auto at =
        std::lower_bound(entries.begin(), entries.end(), name, [](const auto& e, const auto& n) { return e.name < n; });
    return at != entries.end() && at->name == name ? &*at : nullptr;
  };
  if (const auto* order = find(root + "byteorder"))
    if (std::string_view(reinterpret_cast<const char*>(order->bytes.data()), order->bytes.size()) != "little")
      return complain("byteorder", "is not little");

  pickle_machine machine(code->bytes);
  for (const auto& [name, tensor] : machine.run()) {
    const auto* storage = find(root + "data/" + std::string(tensor.storage_key));
    if (!storage) return complain(name, "has no storage data/" + std::string(tensor.storage_key.substr(0, 40)));
    stored_tensor stored{.name = std::string(name)};
    if (const auto fault = bind_storage(tensor, storage->bytes, stored); !fault.empty()) return complain(name, fault);
    file.tensors.push_back(std::move(stored));
  }
  if (!machine.problem().empty()) return complain("data.pkl", machine.problem());
  finish_tensors(file, problem);
  return problem;
}

}  // namespace detail

/// Opens and checks a whole .pth file. rwkv7::error names the file and the tensor; where exceptions are off the result
/// is then empty.
inline tensor_file open_pth(const std::filesystem::path& path) {
  return detail::open_tensors(path, "pth", detail::read_pth);
}

}  // namespace rwkv7
