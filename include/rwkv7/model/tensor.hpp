// SPDX-License-Identifier: MIT
/// What every checkpoint format gives: named tensors in the bytes of the file, before anybody says what they are for.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "rwkv7/model/file_map.hpp"
#include "rwkv7/model/storage.hpp"

namespace rwkv7 {

/// A tensor in place. Strides are in elements and not negative; `bytes` begin with its first element and hold all of
/// them. Blocks lie along the axis of stride 1.
struct stored_tensor {
  std::string name;                    // as the file has it, or as in RWKV-LM
  storage type = storage::f32;         // of its elements
  std::vector<index_t> shape{};        // outermost axis first
  std::vector<index_t> strides{};      // one per axis
  std::span<const std::byte> bytes{};  // aligned only if the file aligns them

  /// How many elements it has.
  index_t size() const noexcept {
    index_t n = 1;
    for (const index_t extent : shape) n *= extent;
    return n;
  }
  /// Whether the elements follow each other in row-major order.
  bool dense() const noexcept {
    index_t step = 1;
    for (std::size_t a = shape.size(); a-- > 0; step *= shape[a])
      if (shape[a] != 1 && strides[a] != step) return false;
    return true;
  }
};

/// Row-major strides.
inline std::vector<index_t> dense_strides(const std::vector<index_t>& shape) {
  std::vector<index_t> strides(shape.size());
  index_t step = 1;
  for (std::size_t a = shape.size(); a-- > 0; step *= shape[a]) strides[a] = step;
  return strides;
}

/// Bytes of a dense tensor, or nothing where an extent is negative, a row is no whole number of blocks, or the extents
/// are too large to count with, even those beside a 0.
inline std::optional<std::uint64_t> dense_bytes(storage type, const std::vector<index_t>& shape) noexcept {
  const auto traits = traits_of(type);
  if (const auto quantised = quantised_type(type)) {
    constexpr index_t most = index_t{1} << 29;
    if (shape.size() != 2 || std::min(shape[0], shape[1]) < 0 || std::max(shape[0], shape[1]) > most) return {};
    if (shape[1] % quantised_block(*quantised) != 0) return {};
    return quantised_size(*quantised, shape[0], shape[1]);
  }
  if ((shape.empty() ? 1 : shape.back()) % traits.elements != 0) return {};
  index_t bytes = traits.bytes;
  bool empty = false;
  for (const index_t extent : shape) {
    if (extent < 0 || (extent > 0 && bytes > (index_t{1} << 62) / extent)) return {};
    if (extent > 0) bytes *= extent;
    empty = empty || extent == 0;
  }
  return empty ? 0 : static_cast<std::uint64_t>(bytes / traits.elements);
}

/// What unpack makes of a tensor: f32, f16 and bf16 stay what they are, blocks and quantised matrices become f32;
/// nothing else is a parameter.
constexpr std::optional<dtype> unpacked_type(storage type) noexcept {
  if (type == storage::f16) return dtype::f16;
  if (type == storage::bf16) return dtype::bf16;
  if (type == storage::f32 || traits_of(type).elements > 1) return dtype::f32;
  return {};
}

/// Whether kernels can read the tensor where it lies.
inline bool usable_in_place(const stored_tensor& tensor) noexcept {
  const auto traits = traits_of(tensor.type);
  return traits.elements == 1 && tensor.dense() &&
         reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % static_cast<std::uintptr_t>(traits.bytes) == 0;
}

/// Writes all elements to `to` in row-major order: bit by bit, blocks and quantised matrices as f32.
inline void unpack(const stored_tensor& tensor, std::byte* to) {
  const auto traits = traits_of(tensor.type);
  const bool blocks = traits.elements > 1;
  const index_t count = tensor.size();
  if (count == 0) return;
  if (const auto quantised = quantised_type(tensor.type)) {
    const index_t rows = tensor.shape[0], columns = tensor.shape[1];
    for (index_t r = 0; r < rows; ++r)
      for (index_t k = 0; k < columns; ++k, to += sizeof(float)) {
        const auto x = static_cast<float>(quantised_value(tensor.bytes.data(), *quantised, rows, columns, r, k));
        std::memcpy(to, &x, sizeof x);
      }
    return;
  }
  if (!blocks && tensor.dense()) {
    std::memcpy(to, tensor.bytes.data(), static_cast<std::size_t>(count * traits.bytes));
    return;
  }
  const auto width = blocks ? sizeof(float) : static_cast<std::size_t>(traits.bytes);
  std::array<float, 32> values{};
  index_t decoded = -1, at = 0;  // which block `values` are; the element's place
  std::vector<index_t> index(tensor.shape.size());
  for (index_t n = 0; n < count; ++n, to += width) {
    if (blocks && at / 32 != decoded) {
      decoded = at / 32;
      decode_block(tensor.type, tensor.bytes.data() + decoded * traits.bytes, values);
    }
    std::memcpy(to,
                blocks ? reinterpret_cast<const std::byte*>(&values[static_cast<std::size_t>(at % 32)])
                       : tensor.bytes.data() + at * traits.bytes,
                width);
    for (std::size_t a = index.size(); a-- > 0;) {  // the next element in row-major order
      at += tensor.strides[a];
      if (++index[a] < tensor.shape[a]) break;
      at -= tensor.strides[a] * tensor.shape[a];
      index[a] = 0;
    }
  }
}

/// The same of a matrix [rows, columns], in column-major order. Blocks and quantised matrices take memory for a copy.
inline void unpack_transposed(const stored_tensor& tensor, std::byte* to) {
  const index_t rows = tensor.shape[0], columns = tensor.shape[1];
  const auto traits = traits_of(tensor.type);
  const std::byte* from = tensor.bytes.data();
  index_t width = traits.bytes, down = tensor.strides[0], along = tensor.strides[1];
  std::vector<std::byte> copy;
  if (traits.elements > 1) {
    width = sizeof(float), down = columns, along = 1;
    copy.resize(static_cast<std::size_t>(rows * columns * width));
    unpack(tensor, copy.data());
    from = copy.data();
  }
  constexpr index_t tile = 32;  // of rows and columns that stay in the cache
  for (index_t r0 = 0; r0 < rows; r0 += tile)
    for (index_t k0 = 0; k0 < columns; k0 += tile)
      for (index_t k = k0; k < std::min(columns, k0 + tile); ++k)
        for (index_t r = r0; r < std::min(rows, r0 + tile); ++r)
          std::memcpy(to + (k * rows + r) * width, from + (r * down + k * along) * width,
                      static_cast<std::size_t>(width));
}

/// How a format that has ggml's blocks, or has none, writes the tensor: as it is, or as f32.
inline storage written_type(const stored_tensor& tensor, bool has_blocks) noexcept {
  const bool kept = has_blocks && tensor.dense() && !quantised_type(tensor.type);
  return traits_of(tensor.type).elements > 1 && !kept ? storage::f32 : tensor.type;
}

/// Hands the elements to `sink(std::span<const std::byte>)` in row-major order and the type above; what needs no change
/// without a copy.
template <class Sink>
void for_written_bytes(const stored_tensor& tensor, bool has_blocks, Sink&& sink) {
  const auto type = written_type(tensor, has_blocks);
  if (type == tensor.type && tensor.dense()) return sink(tensor.bytes);
  std::vector<std::byte> copy(static_cast<std::size_t>(tensor.size() * traits_of(type).bytes));
  unpack(tensor, copy.data());
  sink(std::span<const std::byte>(copy));
}

/// An open file of tensors, whatever its format. Move-only; the tensors' bytes live as long as it does.
struct tensor_file {
  std::string name{};                             // the path, as error messages show it
  std::string format{};                           // "safetensors", "pth", "gguf"
  std::vector<file_map> files{};                  // where the bytes are
  std::vector<stored_tensor> tensors{};           // sorted by name, each name once
  std::map<std::string, std::string> metadata{};  // what the format says beside them: numbers as text, no lists

  /// False when nothing is open.
  explicit operator bool() const noexcept { return !files.empty(); }
  /// The tensor of this name, or null.
  const stored_tensor* find(std::string_view wanted) const noexcept {
    const auto at = std::lower_bound(tensors.begin(), tensors.end(), wanted,
                                     [](const auto& tensor, std::string_view other) { return tensor.name < other; });
    return at != tensors.end() && at->name == wanted ? &*at : nullptr;
  }
};

namespace detail {

/// Sorts by name and refuses a name that occurs twice.
inline void finish_tensors(tensor_file& file, diagnosis& problem) {
  auto& all = file.tensors;
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].name == all[i - 1].name)
      problem.complain("rwkv7::%s: %s: %s: occurs twice", file.format.c_str(), file.name.c_str(),
                       shown(all[i].name, 60).c_str());
}

/// Reads mapped bytes: fills `tensors` and `metadata` of a file whose name and format are known.
using read_tensors = diagnosis (*)(tensor_file& file, std::span<const std::byte> bytes);

/// Maps a file and has it read; what is wrong with it is reported.
inline tensor_file open_tensors(const std::filesystem::path& path, const char* format, read_tensors read) {
  diagnosis problem;
  tensor_file result{.name = shown(path), .format = format};
  auto map = file_map::open(path, problem);
  if (!problem) problem = read(result, map.bytes());
  result.files.push_back(std::move(map));
  if (!problem) return result;
  report(problem);
  return {};
}

}  // namespace detail
}  // namespace rwkv7
