// SPDX-License-Identifier: MIT
// Any bytes as a state file: as they are, and with their checksums set right, so that what lies behind the checksums is
// reached. Linux: the file is in memory.
#include "rwkv7/model/state_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace {

using rwkv7::index_t;

/// Opens the bytes as a file, and reads every slot of a reasonable size.
void read_all(std::span<const std::byte> bytes) {
  static const int file = memfd_create("state", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  try {
    const auto states = rwkv7::state_file::open(path);
    const auto size = static_cast<index_t>(states.format().size());
    std::vector<float> to(static_cast<std::size_t>(size));
    std::vector<double> wide(static_cast<std::size_t>(size));
    for (index_t i = 0; i < states.slots(); ++i) {
      states.read(states.format(), i, rwkv7::view<float, 1>(to.data(), {size}));
      states.read(states.format(), i, rwkv7::view<double, 1>(wide.data(), {size}));
    }
  } catch (const rwkv7::error&) {
  }
}

/// The bytes with right checksums, as far as the header tells where they are.
std::vector<std::byte> sealed(std::span<const std::byte> bytes) {
  std::vector<std::byte> all(bytes.begin(), bytes.end());
  rwkv7::detail::state_file_header header;
  if (all.size() < sizeof header) return all;
  std::memcpy(&header, all.data(), sizeof header);
  header.checksum = rwkv7::detail::checksum_of(header);
  std::memcpy(all.data(), &header, sizeof header);
  const auto rest = std::span(all).subspan(sizeof header);
  if (header.slots == 0 || header.slots > rest.size() / sizeof(rwkv7::detail::state_record_header)) return all;
  const std::size_t size = rest.size() / header.slots;
  for (std::size_t slot = 0; slot < header.slots; ++slot) {
    const auto record = rest.subspan(slot * size, size);
    rwkv7::detail::state_record_header head;
    std::memcpy(&head, record.data(), sizeof head);
    head.checksum = rwkv7::detail::checksum_of(slot, head.position, record.subspan(sizeof head));
    std::memcpy(record.data(), &head, sizeof head);
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
