// SPDX-License-Identifier: MIT
/// The tokenizer of the RWKV World models, with a vocabulary file that the caller names.
#pragma once

#include <algorithm>
#include <cstring>

#include "rwkv7/model/tokenizer.hpp"
#include "rwkv7/model/world_vocabulary.hpp"

namespace rwkv7 {

/// Greedy: the next token is the longest one with which the rest of the bytes begins. Every byte alone is a token, so
/// any bytes encode, and decode back to themselves. There are no special tokens that text could spell.
///
/// Token 0, which ends a document, is not in the file. A model may have more tokens than its tokenizer (the published
/// file ends at 65529, V is 65536): those and 0 have no bytes. That file takes 2.5 MB of memory.
class world_tokenizer {
 public:
  /// The token between documents; it has no bytes.
  static constexpr std::int32_t end_of_document = 0;

  /// Empty.
  world_tokenizer() = default;

  /// Reads a vocabulary file such as rwkv_vocab_v20230424.txt; world_vocabulary.hpp has the format. rwkv7::error names
  /// the file and the line; where exceptions are off the result is then empty.
  static world_tokenizer open(const std::filesystem::path& path) {
    diagnosis problem;
    const auto file = file_map::open(path, problem);
    if (problem) {
      report(problem);
      return {};
    }
    return parse({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, detail::shown(path));
  }
  /// The same from memory, which is not needed afterwards; errors call it `name`.
  static world_tokenizer parse(std::string_view text, std::string_view name = "vocabulary") {
    world_tokenizer result;
    result.vocabulary_.name = detail::shown(name, 80);
    auto problem = result.vocabulary_.read(text);
    if (!problem) result.build(problem);
    if (!problem) return result;
    report(problem);
    return {};
  }

  /// False when empty.
  explicit operator bool() const noexcept { return !nodes_.empty(); }
  /// The largest token of the file, and one.
  index_t size() const noexcept { return static_cast<index_t>(vocabulary_.places.size()); }

  /// The tokens of any bytes; never 0. rwkv7::error when empty; where exceptions are off the result is then empty too.
  /// Cost: at most the bytes times the longest token, in text about two steps per byte.
  std::vector<std::int32_t> encode(std::string_view bytes) const {
    std::vector<std::int32_t> tokens;
    if (!*this) {
      diagnosis problem;
      problem.complain("rwkv7::world_tokenizer: vocabulary: not given");
      report(problem);
      return tokens;
    }
    while (!bytes.empty()) {
      const auto [token, size] = longest(bytes);
      tokens.push_back(token);
      bytes.remove_prefix(size);
    }
    return tokens;
  }

  /// The bytes of a token; none for 0 and for one that the file does not have. rwkv7::error for a negative token; where
  /// exceptions are off the result is empty.
  std::string_view decode(std::int32_t token) const {
    if (token >= 0) return token < size() ? vocabulary_.token(static_cast<std::size_t>(token)) : std::string_view();
    diagnosis problem;
    problem.complain("rwkv7::world_tokenizer: token: got %lld, want 0 or more", static_cast<long long>(token));
    report(problem);
    return {};
  }

 private:
  /// Of the tree of all beginnings of tokens, breadth first: the children of a node are neighbours, and those of the
  /// next node follow them. The first 256 nodes are the single bytes; the one after the last ends its children.
  struct node {
    std::uint32_t children;  // the first of them
    std::int32_t token;      // 0 where only longer tokens begin so
  };
  struct match {
    std::int32_t token;
    std::size_t size;
  };

  match longest(std::string_view bytes) const noexcept {
    std::size_t at = static_cast<unsigned char>(bytes[0]);
    match best{nodes_[at].token, 1};
    for (std::size_t i = 1; i < bytes.size(); ++i) {
      const std::size_t first = nodes_[at].children, count = nodes_[at + 1].children - first;
      const void* const child = std::memchr(labels_.data() + first, bytes[i], count);
      if (!child) break;
      at = static_cast<std::size_t>(static_cast<const char*>(child) - labels_.data());
      if (nodes_[at].token != 0) best = {nodes_[at].token, i + 1};
    }
    return best;
  }

  void build(diagnosis& problem) {
    const auto token = [&](std::uint32_t id) { return vocabulary_.token(id); };
    const auto& lines = vocabulary_.lines;
    std::vector<std::uint32_t> sorted;
    for (std::uint32_t id = 0; id < lines.size(); ++id)
      if (lines[id] != 0) sorted.push_back(id);
    std::sort(sorted.begin(), sorted.end(), [&](std::uint32_t a, std::uint32_t b) {
      const int order = token(a).compare(token(b));
      return order == 0 ? lines[a] < lines[b] : order < 0;
    });
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end(),
                                          [&](std::uint32_t a, std::uint32_t b) { return token(a) == token(b); });
    if (twice != sorted.end())
      return vocabulary_.complain(problem, lines[twice[1]], "literal",
                                  "the token of line " + std::to_string(lines[*twice]), "each token once");

    // Every node with the range of sorted tokens that begin so and are longer.
    struct range {
      std::size_t begin, end;
    };
    std::vector<range> longer;
    const auto add_children = [&](range all, std::size_t depth) {
      while (all.begin < all.end) {
        const std::uint32_t id = sorted[all.begin];
        const bool whole = token(id).size() == depth + 1;
        labels_ += token(id)[depth];
        nodes_.push_back({0, whole ? static_cast<std::int32_t>(id) : 0});
        range same{all.begin + (whole ? 1 : 0), all.begin + 1};
        while (same.end < all.end && token(sorted[same.end])[depth] == labels_.back()) ++same.end;
        longer.push_back(same);
        all.begin = same.end;
      }
    };
    add_children({0, sorted.size()}, 0);
    std::size_t depth = 1, level_end = nodes_.size();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (i == level_end) ++depth, level_end = nodes_.size();
      nodes_[i].children = static_cast<std::uint32_t>(nodes_.size());
      add_children(longer[i], depth);
    }
    nodes_.push_back({static_cast<std::uint32_t>(nodes_.size()), 0});
    vocabulary_.lines = {};
  }

  detail::world_vocabulary vocabulary_;
  std::vector<node> nodes_;
  std::string labels_;  // of each node: its last byte
};

}  // namespace rwkv7
