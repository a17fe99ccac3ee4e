// SPDX-License-Identifier: MIT
// Any bytes as a state file: as they are, and with their checksums set right, so that what lies behind the checksums is
// reached. Linux: the file is in memory.
#include "rwkv7/model/state_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace {

using rwkv7::index_t;

/// Opens the bytes as a file, and reads every slot, in Transformers into a context of their own and a small one.
void read_all(std::span<const std::byte> bytes) {
  static const int file = memfd_create("state", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  try {
    const auto states = rwkv7::state_file::open(path);
    for (const bool small : {false, true}) {
      auto want = states.format();
      if (small && want.context > 3) want.context = 3, want.window = 2;
      const auto size = static_cast<index_t>(want.size());
      if (size > 1 << 20) continue;  // only a context can be that large without bytes that bear it out
      std::vector<float> to(static_cast<std::size_t>(size));
      std::vector<double> wide(static_cast<std::size_t>(size));
      for (index_t i = 0; i < states.slots(); ++i) {
        states.read(want, i, rwkv7::view<float, 1>(to.data(), {size}));
        states.read(want, i, rwkv7::view<double, 1>(wide.data(), {size}));
      }
    }
  } catch (const rwkv7::error&) {
  }
}

/// The bytes with right checksums, as far as the headers tell where they are.
std::vector<std::byte> sealed(std::span<const std::byte> bytes) {
  std::vector<std::byte> all(bytes.begin(), bytes.end());
  rwkv7::detail::state_file_header header;
  if (all.size() < sizeof header) return all;
  std::memcpy(&header, all.data(), sizeof header);
  header.checksum = rwkv7::detail::checksum_of(header);
  std::memcpy(all.data(), &header, sizeof header);
  const bool transformer = header.version == 2;
  rwkv7::state_format format{.layers = header.layers,
                             .C = header.C,
                             .H = header.H,
                             .N = header.N,
                             .att_shift = (header.shifts & 1) != 0,
                             .ffn_shift = (header.shifts & 2) != 0};
  std::size_t at = sizeof header;
  rwkv7::detail::state_file_attention attention;
  if (transformer) {
    if (all.size() < at + sizeof attention) return all;
    std::memcpy(&attention, all.data() + at, sizeof attention);
    at += sizeof attention;
    if (attention.count > (all.size() - at) / 8 || (all.size() - at) / 8 == attention.count) return all;
    at += static_cast<std::size_t>(attention.count) * 8;
    const std::uint64_t sum = rwkv7::crc32c(std::span<const std::byte>(all).first(at));
    std::memcpy(all.data() + at, &sum, sizeof sum);
    at += sizeof sum;
    format.H_kv = attention.H_kv;
    format.attention_layers.resize(static_cast<std::size_t>(attention.count));
  }
  rwkv7::detail::state_record_header head;
  const std::uint64_t rest = all.size() - at;
  if (header.slots == 0 || header.slots > rest / sizeof head) return all;
  for (std::uint64_t slot = 0; slot < header.slots && all.size() - at >= sizeof head; ++slot) {
    const auto record = std::span(all).subspan(at);
    std::memcpy(&head, record.data(), sizeof head);
    const std::uint64_t room = record.size() - sizeof head, element = header.dtype == 0 ? 4 : 8;
    std::uint64_t size = rest / header.slots - sizeof head;
    if (transformer) {
      const auto n = format.size_without_position(std::min(head.position, attention.context), room / element);
      size = n == 0 ? room : n * element;
    }
    head.checksum = rwkv7::detail::checksum_of(slot, head.position, record.subspan(sizeof head, size));
    std::memcpy(record.data(), &head, sizeof head);
    at += sizeof head + static_cast<std::size_t>(size);
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  read_all(bytes);
  read_all(sealed(bytes));
  return 0;
}
