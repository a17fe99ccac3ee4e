// SPDX-License-Identifier: MIT
/// Writes .safetensors files.
#pragma once

#include <nlohmann/json.hpp>

#include "rwkv7/model/safetensors.hpp"
#include "rwkv7/model/whole_file.hpp"

namespace rwkv7 {

/// Writes the tensors in their order, each as it is; a strided one in row-major order, blocks as f32. Quantised
/// matrices are kept as docs/quantised.md describes, or become f32 for readers that know of none. The file is complete
/// or not there; the data begin on a multiple of 64 bytes. Complains where the file cannot be written. `each(bytes)` is
/// called as data are written.
template <class Each>
diagnosis write_safetensors(const std::filesystem::path& path, const std::vector<stored_tensor>& tensors,
                            std::map<std::string, std::string> metadata, Each&& each, bool keep_quantised = true) {
  const auto kept = [&](const stored_tensor& tensor) { return keep_quantised && quantised_type(tensor.type); };
  for (const auto& tensor : tensors)
    if (kept(tensor))
      metadata[std::string(detail::quantised_entry) + tensor.name] =
          std::string(name_of(*quantised_type(tensor.type))) + " " + std::to_string(tensor.shape[0]) + " " +
          std::to_string(tensor.shape[1]);
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const auto& tensor : tensors) {
    const auto [type, elements, bytes] = traits_of(kept(tensor) ? storage::u8 : written_type(tensor, false));
    const auto shape = kept(tensor) ? std::vector{static_cast<index_t>(tensor.bytes.size())} : tensor.shape;
    const auto end = at + (kept(tensor) ? tensor.bytes.size() : static_cast<std::uint64_t>(tensor.size() * bytes));
    header[tensor.name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
  whole_file file(path);
  const std::uint64_t size = text.size();
  file.write(std::as_bytes(std::span(&size, 1)));
  file.write(std::as_bytes(std::span(text)));
  const auto write = [&](std::span<const std::byte> bytes) {
    file.write(bytes);
    each(bytes.size());
  };
  for (const auto& tensor : tensors)
    if (kept(tensor))
      write(tensor.bytes);
    else
      for_written_bytes(tensor, false, write);
  return file.commit();
}

}  // namespace rwkv7
