// SPDX-License-Identifier: MIT
/// Writes .safetensors files.
#pragma once

#include <nlohmann/json.hpp>

#include "rwkv7/model/tensor.hpp"
#include "rwkv7/model/whole_file.hpp"

namespace rwkv7 {

/// Writes the tensors in their order, each as it is; a strided one in row-major order, blocks as f32. The file is
/// complete or not there; the data begin on a multiple of 64 bytes. Complains where the file cannot be written.
/// `each(bytes)` is called as data are written.
template <class Each>
diagnosis write_safetensors(const std::filesystem::path& path, const std::vector<stored_tensor>& tensors,
                            const std::map<std::string, std::string>& metadata, Each&& each) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const auto& tensor : tensors) {
    const auto [type, elements, bytes] = traits_of(written_type(tensor, false));
    const auto end = at + static_cast<std::uint64_t>(tensor.size() * bytes);
    header[tensor.name] = {{"dtype", type}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
  whole_file file(path);
  const std::uint64_t size = text.size();
  file.write(std::as_bytes(std::span(&size, 1)));
  file.write(std::as_bytes(std::span(text)));
  for (const auto& tensor : tensors)
    for_written_bytes(tensor, false, [&](std::span<const std::byte> bytes) {
      file.write(bytes);
      each(bytes.size());
    });
  return file.commit();
}

}  // namespace rwkv7
