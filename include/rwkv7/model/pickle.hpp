// SPDX-License-Identifier: MIT
/// Reads what torch.save writes into data.pkl: a dictionary of tensors, as instructions for a stack machine.
///
/// A pickle may call anything. This machine knows the instructions and the few names that such a dictionary needs and
/// ends at any other: nothing is imported, nothing is called. Time and memory are at most in proportion to the pickle's
/// size (a hundred bytes a byte): values refer to each other by number, and neither depth nor cycles of them cost
/// anything.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rwkv7/model/file_map.hpp"
#include "rwkv7/model/storage.hpp"

namespace rwkv7::detail {

/// A tensor as the pickle describes it; its elements are in the archive's entry data/<storage_key>.
struct pickled_tensor {
  storage type = storage::f32;
  std::string_view storage_key{};
  std::int64_t elements = 0;  // of the storage
  std::int64_t offset = 0;    // of the first element
  std::vector<index_t> shape{}, strides{};
};

/// What a pickle may name: functions, and storages with their elements' type.
struct pickle_name {
  std::string_view module, name;
  rwkv7::storage type = rwkv7::storage::f32;
};
inline constexpr pickle_name pickle_names[] = {
    {"collections", "OrderedDict"},
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch._utils", "_rebuild_parameter"},
    {"torch", "FloatStorage", rwkv7::storage::f32},
    {"torch", "HalfStorage", rwkv7::storage::f16},
    {"torch", "BFloat16Storage", rwkv7::storage::bf16},
    {"torch", "DoubleStorage", rwkv7::storage::f64},
    {"torch", "BoolStorage", rwkv7::storage::boolean},
    {"torch", "ByteStorage", rwkv7::storage::u8},
    {"torch", "CharStorage", rwkv7::storage::i8},
    {"torch", "ShortStorage", rwkv7::storage::i16},
    {"torch", "IntStorage", rwkv7::storage::i32},
    {"torch", "LongStorage", rwkv7::storage::i64},
};

/// Runs one pickle. What it returns refers to the pickle's bytes.
class pickle_machine {
 public:
  explicit pickle_machine(std::span<const std::byte> code) : code_(code) {}

  /// The dictionary's entries in their order, or nothing and a sentence in problem().
  std::vector<std::pair<std::string_view, pickled_tensor>> run() {
    while (problem_.empty() && !done_) step();
    std::vector<std::pair<std::string_view, pickled_tensor>> result;
    if (problem_.empty() && (stack_.size() != 1 || values_[stack_[0]].what != kind::dictionary))
      fail("is not a dictionary");
    std::set<std::string_view> keys;  // one value may be many keys, so repetition is caught before anything is copied
    for (const auto& [dictionary, key, item] : assignments_) {
      if (!problem_.empty()) break;
      if (dictionary != stack_[0]) continue;
      const auto name = values_[key].text;
      if (values_[key].what != kind::text)
        fail("has a key that is no text");
      else if (values_[item].what != kind::tensor)
        fail(shown(name, 60) + ": is not a tensor");
      else if (!keys.insert(name).second)
        fail(shown(name, 60) + ": occurs twice");
      else
        result.emplace_back(name, tensor_of(values_[item]));
    }
    if (!problem_.empty()) result.clear();
    return result;
  }
  const std::string& problem() const noexcept { return problem_; }

 private:
  enum class kind : std::uint8_t { none, boolean, number, text, name, tuple, dictionary, storage, tensor, mark };
  using id = std::uint32_t;  // a place in values_
  struct value {
    kind what = kind::none;
    rwkv7::storage type{};    // a storage's
    std::uint32_t count = 0;  // a tuple's items, or a tensor's arguments
    std::int64_t number = 0;  // or a tuple's or tensor's first item, a storage's elements
    std::string_view text{};  // or a name, a storage's key
  };

  void step() {
    const auto instruction = number<std::uint8_t>();
    if (!problem_.empty()) return;
    switch (instruction) {
      case 0x80:  // PROTO
        if (const auto protocol = number<std::uint8_t>(); protocol != 2)
          fail("protocol: got " + std::to_string(protocol) + ", want 2");
        return;
      case '.':  // STOP
        done_ = true;
        return;
      case '(':  // MARK
        return push({.what = kind::mark});
      case 'N':  // NONE
        return push({});
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        return push({.what = kind::boolean});
      case 'K':  // BININT1
        return push({.what = kind::number, .number = number<std::uint8_t>()});
      case 'M':  // BININT2
        return push({.what = kind::number, .number = number<std::uint16_t>()});
      case 'J':  // BININT
        return push({.what = kind::number, .number = number<std::int32_t>()});
      case 0x8a:  // LONG1
        return push_long();
      case 'X':  // BINUNICODE
        return push({.what = kind::text, .text = bytes(number<std::uint32_t>())});
      case 'c':  // GLOBAL
        return push_name();
      case 'q':  // BINPUT
        return remember(number<std::uint8_t>());
      case 'r':  // LONG_BINPUT
        return remember(number<std::uint32_t>());
      case 'h':  // BINGET
        return recall(number<std::uint8_t>());
      case 'j':  // LONG_BINGET
        return recall(number<std::uint32_t>());
      case '}':  // EMPTY_DICT
        return push({.what = kind::dictionary});
      case ')':  // EMPTY_TUPLE
        return push_tuple(0);
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        return push_tuple(instruction - 0x84u);
      case 't':  // TUPLE
        return push_tuple(take_mark());
      case 's':  // SETITEM
        return set_items(2);
      case 'u':  // SETITEMS
        return set_items(take_mark());
      case 'Q':  // BINPERSID
        return push_storage();
      case 'R':  // REDUCE
        return call();
      case 'b':  // BUILD: attributes of an ordered dictionary, on which no tensor depends
        pop();
        if (problem_.empty() && (stack_.empty() || values_[stack_.back()].what != kind::dictionary))
          fail("gives attributes to something else than a dictionary");
        return;
      default:
        return fail("has an instruction that no checkpoint needs: number " + std::to_string(instruction));
    }
  }

  // The code.
  std::string_view bytes(std::size_t count) {
    if (count > code_.size() - position_) return fail("ends too early"), std::string_view();
    position_ += count;
    return {reinterpret_cast<const char*>(code_.data()) + position_ - count, count};
  }
  template <class T>
  T number() {
    T result{};
    if (const auto from = bytes(sizeof result); problem_.empty()) std::memcpy(&result, from.data(), sizeof result);
    return result;
  }
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(code_.data()) + position_, code_.size() - position_);
    const auto end = rest.find('\n');
    if (end == rest.npos) return fail("ends too early"), std::string_view();
    position_ += end + 1;
    return rest.substr(0, end);
  }

  // The stack.
  void push(const value& v) {
    stack_.push_back(static_cast<id>(values_.size()));
    values_.push_back(v);
  }
  value pop() {
    if (stack_.empty()) return fail("takes from an empty stack"), value();
    const value top = values_[stack_.back()];
    stack_.pop_back();
    return top;
  }
  /// Takes the last mark away and says how many values were above it; these stay.
  std::size_t take_mark() {
    for (std::size_t n = 0; n < stack_.size(); ++n) {
      const auto at = stack_.end() - 1 - static_cast<std::ptrdiff_t>(n);
      if (values_[*at].what != kind::mark) continue;
      stack_.erase(at);
      return n;
    }
    return fail("has no mark"), 0;
  }
  void remember(std::uint32_t place) {
    if (stack_.empty()) return fail("remembers nothing");
    memo_[place] = stack_.back();
  }
  void recall(std::uint32_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) return fail("recalls what it did not remember");
    stack_.push_back(found->second);
  }

  // Values.
  void push_long() {
    const auto digits = bytes(number<std::uint8_t>());
    if (digits.size() > 8) return fail("has a number of more than 64 bits");
    std::uint64_t n = !digits.empty() && static_cast<signed char>(digits.back()) < 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = digits.size(); i-- > 0;) n = n << 8 | static_cast<unsigned char>(digits[i]);
    push({.what = kind::number, .number = static_cast<std::int64_t>(n)});
  }
  void push_name() {
    const auto module = line(), name = line();
    if (!problem_.empty()) return;
    for (const auto& [known_module, known, type] : pickle_names)
      if (module == known_module && name == known) return push({.what = kind::name, .type = type, .text = known});
    fail("calls " + shown(module, 60) + "." + shown(name, 60) + ", which no checkpoint needs");
  }
  void push_tuple(std::size_t count) {
    if (count > stack_.size()) return fail("takes from an empty stack");
    const value tuple{.what = kind::tuple,
                      .count = static_cast<std::uint32_t>(count),
                      .number = static_cast<std::int64_t>(items_.size())};
    items_.insert(items_.end(), stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    push(tuple);
  }
  const value& item(const value& tuple, std::size_t i) const noexcept {
    return values_[items_[static_cast<std::size_t>(tuple.number) + i]];
  }
  void set_items(std::size_t count) {
    if (count % 2 != 0 || stack_.size() < count + 1) return fail("gives a dictionary a key without a value");
    const auto first = stack_.size() - count;
    if (values_[stack_[first - 1]].what != kind::dictionary)
      return fail("gives items to something else than a dictionary");
    for (auto i = first; i < stack_.size(); i += 2)
      assignments_.push_back({stack_[first - 1], stack_[i], stack_[i + 1]});
    stack_.resize(first);
  }

  /// ("storage", type, key, device, number of elements)
  void push_storage() {
    const value from = pop();
    if (from.what != kind::tuple || from.count != 5 || item(from, 0).text != "storage" ||
        item(from, 1).what != kind::name || !item(from, 1).text.ends_with("Storage") ||
        item(from, 2).what != kind::text || item(from, 4).what != kind::number)
      return fail("names a storage in an unknown way");
    push({.what = kind::storage,
          .type = item(from, 1).type,
          .number = item(from, 4).number,
          .text = item(from, 2).text});
  }
  void call() {
    const value arguments = pop(), function = pop();
    if (!problem_.empty()) return;
    if (function.what != kind::name || arguments.what != kind::tuple)
      return fail("calls something that is no function");
    if (function.text == "OrderedDict" && arguments.count == 0) return push({.what = kind::dictionary});
    if (function.text == "_rebuild_parameter" && arguments.count == 3 && item(arguments, 0).what == kind::tensor)
      return push(item(arguments, 0));
    if (function.text == "_rebuild_tensor_v2" && arguments.count >= 4) return push_tensor(arguments);
    fail("calls " + std::string(function.text) + " with other arguments than a checkpoint");
  }
  /// (storage, offset, shape, strides, …)
  void push_tensor(const value& arguments) {
    const auto &shape = item(arguments, 2), &strides = item(arguments, 3);
    if (item(arguments, 0).what != kind::storage || item(arguments, 1).what != kind::number || !is_shape(shape) ||
        !is_shape(strides) || shape.count != strides.count)
      return fail("makes a tensor in an unknown way");
    push({.what = kind::tensor, .count = arguments.count, .number = arguments.number});
  }
  bool is_shape(const value& tuple) const noexcept {
    constexpr std::uint32_t most_axes = 16;
    bool good = tuple.what == kind::tuple && tuple.count <= most_axes;
    for (std::size_t a = 0; good && a < tuple.count; ++a) good = item(tuple, a).what == kind::number;
    return good;
  }
  /// A tensor is kept as the arguments it was made of.
  pickled_tensor tensor_of(const value& tensor) const {
    const auto& storage = item(tensor, 0);
    pickled_tensor result{.type = storage.type,
                          .storage_key = storage.text,
                          .elements = storage.number,
                          .offset = item(tensor, 1).number};
    const auto &shape = item(tensor, 2), &strides = item(tensor, 3);
    for (std::size_t a = 0; a < shape.count; ++a) {
      result.shape.push_back(item(shape, a).number);
      result.strides.push_back(item(strides, a).number);
    }
    return result;
  }

  void fail(const std::string& what) {
    if (problem_.empty()) problem_ = what;
  }

  struct assignment {
    id dictionary, key, value;
  };

  std::span<const std::byte> code_;
  std::size_t position_ = 0;
  bool done_ = false;
  std::string problem_;
  std::vector<value> values_;
  std::vector<id> stack_, items_;  // items_: of all tuples
  std::map<std::uint32_t, id> memo_;
  std::vector<assignment> assignments_;
};

}  // namespace rwkv7::detail
