// SPDX-License-Identifier: MIT
// rwkv7-test: no exceptions
// Right .pth files, and every way in which one can be wrong, up to those that want to be run.
#include "rwkv7/model/pth.hpp"

#include <doctest/doctest.h>

#include "support/pickle_assembler.hpp"
#include "support/read_bytes.hpp"
#include "support/reported.hpp"
#include "support/safetensors_writer.hpp"
#include "support/zip_builder.hpp"

using namespace rwkv7_test;
using rwkv7::storage;

namespace {

read_result read(const std::string& content) { return {rwkv7::detail::read_pth, "pth", content}; }

/// An archive of this data.pkl and the storage 0, twelve floats 0, 1, 2, …
std::vector<zip_part> parts(const std::string& code) {
  return {{"root/data.pkl", code}, {"root/data/0", bytes_of<float>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})}};
}
std::string complaint(const std::string& code) { return read(zip_bytes(parts(code))).complaint; }

const std::string floats = pickle::storage("FloatStorage", "0", 12);

std::string tensor_program(std::int64_t offset, const std::vector<std::int64_t>& shape,
                           const std::vector<std::int64_t>& strides) {
  return pickle::program(pickle::text("x") + pickle::tensor(floats, offset, shape, strides));
}
std::string complaint(std::int64_t offset, const std::vector<std::int64_t>& shape,
                      const std::vector<std::int64_t>& strides) {
  return complaint(tensor_program(offset, shape, strides));
}
std::vector<float> values(std::int64_t offset, const std::vector<std::int64_t>& shape,
                          const std::vector<std::int64_t>& strides) {
  const auto got = read(zip_bytes(parts(tensor_program(offset, shape, strides))));
  CHECK(got.complaint == "");
  return got.file.tensors.size() == 1 ? elements_of<float>(got.file.tensors.at(0)) : std::vector<float>();
}

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

}  // namespace

TEST_CASE("tensors are any strided part of their storage") {
  CHECK(values(0, {2, 3}, {3, 1}) == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(values(1, {3, 2}, {1, 3}) == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(values(11, {1}, {most}) == std::vector<float>{11});
  CHECK(values(11, {1, 1}, {most, most}) == std::vector<float>{11});
  CHECK(values(5, {}, {}) == std::vector<float>{5});
  CHECK(values(3, {2, 2}, {0, 1}) == std::vector<float>{3, 4, 3, 4});
  CHECK(values(12, {0}, {1}).empty());
  CHECK(values(0, {5, 0}, {most, most}).empty());
}

TEST_CASE("places outside the storage") {
  const std::string outside = "x: lies outside its storage of 12 elements";
  CHECK(complaint(0, {13}, {1}) == outside);
  CHECK(complaint(12, {}, {}) == outside);
  CHECK(complaint(12, {1}, {1}) == outside);
  CHECK(complaint(13, {0}, {1}) == outside);
  CHECK(complaint(-1, {1}, {1}) == outside);
  CHECK(complaint(most, {1}, {1}) == outside);
  CHECK(complaint(4, {3, 3}, {3, 1}) == outside);
  CHECK(complaint(0, {2}, {most}) == outside);
  CHECK(complaint(1, {2, 2}, {most / 2, most / 2}) == outside);
  CHECK(complaint(0, {most, most}, {0, 0}) == outside);
  CHECK(complaint(0, {13}, {0}) == outside);  // an element met often: no larger than the storage all the same
  CHECK(complaint(0, {2, 7}, {0, 0}) == outside);
  CHECK(complaint(0, {-1}, {1}) == "x: has a negative extent or stride");
  CHECK(complaint(11, {2}, {-1}) == "x: has a negative extent or stride");
  CHECK(complaint(0, {0, -1}, {1, 1}) == "x: has a negative extent or stride");
  CHECK(complaint(0, {0, most, most}, {1, 1, 1}) == "x: has a shape of too many elements");
}

TEST_CASE("storages of every element type, and of other sizes than they say") {
  const auto one = [](const std::string& type, const std::string& key, std::int64_t elements,
                      const std::string& bytes) {
    const auto code =
        pickle::program(pickle::text("x") + pickle::tensor(pickle::storage(type, key, elements), 0, {elements}, {1}));
    return read(zip_bytes({{"r/data.pkl", code}, {"r/data/0", bytes}}));
  };
  const std::pair<const char*, storage> types[] = {{"FloatStorage", storage::f32},     {"HalfStorage", storage::f16},
                                                   {"BFloat16Storage", storage::bf16}, {"DoubleStorage", storage::f64},
                                                   {"BoolStorage", storage::boolean},  {"ByteStorage", storage::u8},
                                                   {"CharStorage", storage::i8},       {"ShortStorage", storage::i16},
                                                   {"IntStorage", storage::i32},       {"LongStorage", storage::i64}};
  for (const auto& known : types) {
    const auto [name, type] = known;
    CAPTURE(known.first);
    const auto size = static_cast<std::size_t>(rwkv7::traits_of(type).bytes);
    const auto got = one(name, "0", 3, std::string(3 * size, 'x'));
    CHECK(got.complaint == "");
    CHECK(got.file.tensors.size() == 1);
    CHECK(got.file.tensors.at(0).type == type);
  }
  CHECK(one("FloatStorage", "0", 3, std::string(13, 'x')).complaint == "x: storage: got 13 bytes, want 3 F32");
  CHECK(one("FloatStorage", "0", 3, std::string(8, 'x')).complaint == "x: storage: got 8 bytes, want 3 F32");
  CHECK(one("FloatStorage", "0", 3, std::string(16, 'x')).complaint == "x: storage: got 16 bytes, want 3 F32");
  CHECK(one("FloatStorage", "0", -3, std::string(12, 'x')).complaint == "x: storage: got 12 bytes, want -3 F32");
  CHECK(one("FloatStorage", "0", most, "").complaint == "x: storage: got 0 bytes, want 9223372036854775807 F32");
  CHECK(one("FloatStorage", "1", 3, std::string(12, 'x')).complaint == "x: has no storage data/1");
  CHECK(one("FloatStorage", "../0", 3, std::string(12, 'x')).complaint == "x: has no storage data/../0");
  CHECK(one("ComplexFloatStorage", "0", 3, std::string(24, 'x')).complaint ==
        "data.pkl: calls torch.ComplexFloatStorage, which no checkpoint needs");
}

TEST_CASE("nothing is called but what makes tensors") {
  using namespace pickle;
  const auto calling = [](const std::string& module, const std::string& name) {
    return complaint(program(text("x") + global(module, name) + mark + text("touch evil") + tuple + reduce));
  };
  CHECK(calling("os", "system") == "data.pkl: calls os.system, which no checkpoint needs");
  CHECK(calling("posix", "system") == "data.pkl: calls posix.system, which no checkpoint needs");
  CHECK(calling("__builtin__", "eval") == "data.pkl: calls __builtin__.eval, which no checkpoint needs");
  CHECK(calling("torch", "load") == "data.pkl: calls torch.load, which no checkpoint needs");
  CHECK(calling("torch._utils", "FloatStorage") ==
        "data.pkl: calls torch._utils.FloatStorage, which no checkpoint needs");
  CHECK(calling("torch\n", "x") == "data.pkl: calls torch., which no checkpoint needs");
  CHECK(calling("a\x1b[31m", "b") == "data.pkl: calls a?[31m.b, which no checkpoint needs");
  CHECK(calling("collections", "OrderedDict") == "data.pkl: calls OrderedDict with other arguments than a checkpoint");
  CHECK(calling("torch", "FloatStorage") == "data.pkl: calls FloatStorage with other arguments than a checkpoint");
  CHECK(complaint(program(text("x") + global(std::string(1000, 'a'), "b"))).size() < 200);
}

TEST_CASE("a parameter is the tensor it wraps, and attributes of a dictionary are stepped over") {
  using namespace pickle;
  const auto parameter = global("torch._utils", "_rebuild_parameter") + mark + tensor(floats, 2, {1}, {1}) + "\x88" +
                         global("collections", "OrderedDict") + ")" + reduce + tuple + reduce;
  const auto ordered = global("collections", "OrderedDict") + ")" + reduce;
  const auto got = read(
      zip_bytes(parts(proto + ordered + put(0) + mark + text("x") + parameter + setitems + dict + mark +
                      text("_metadata") + dict + put(1) + text("self") + get(1) + setitem + setitems + build + stop)));
  CHECK(got.complaint == "");
  CHECK(got.file.tensors.size() == 1);
  CHECK(elements_of<float>(got.file.tensors.at(0)) == std::vector<float>{2});
}

TEST_CASE("every small instruction means what Python means by it") {
  using namespace pickle;
  // in one, two and four bytes, and as a long
  const auto single = proto + "}q\x05" + text("x") + global("torch._utils", "_rebuild_tensor_v2") + mark + floats +
                      "M\x01\0"s + "K\x02J\x03\0\0\0\x86"s + "K\x04\x8a\x01\x01\x86" + "\x89N" + tuple + reduce +
                      setitem + stop;
  const auto got = read(zip_bytes(parts(single)));
  CHECK(got.complaint == "");
  CHECK(got.file.tensors.size() == 1);
  CHECK(elements_of<float>(got.file.tensors.at(0)) == std::vector<float>{1, 2, 3, 5, 6, 7});
  const auto negative = proto + "}" + text("x") + global("torch._utils", "_rebuild_tensor_v2") + mark + floats +
                        "K\0"s + "\x8a\x01\xff\x85" + "K\x01\x85" + "\x89N" + tuple + reduce + setitem + stop;
  CHECK(complaint(negative) == "x: has a negative extent or stride");
}

TEST_CASE("programs that are none") {
  using namespace pickle;
  const auto of = [](const std::string& code) {
    const auto text = complaint(code);
    return text.starts_with("data.pkl: ") ? text.substr(10) : "not as expected: " + text;
  };
  CHECK(of("") == "ends too early");
  CHECK(of(proto) == "ends too early");
  CHECK(of(proto + dict) == "ends too early");  // no STOP
  CHECK(of("\x80") == "ends too early");
  CHECK(of("\x80\x04}.") == "protocol: got 4, want 2");
  CHECK(of(proto + stop) == "is not a dictionary");
  CHECK(of(proto + none + stop) == "is not a dictionary");
  CHECK(of(proto + dict + dict + stop) == "is not a dictionary");
  CHECK(of(proto + mark + stop) == "is not a dictionary");
  CHECK(of(proto + setitem + stop) == "gives a dictionary a key without a value");
  CHECK(of(proto + dict + text("x") + setitem) == "gives a dictionary a key without a value");
  CHECK(of(proto + dict + mark + text("x") + setitems) == "gives a dictionary a key without a value");
  CHECK(of(proto + none + none + none + setitem) == "gives items to something else than a dictionary");
  CHECK(of(proto + setitems) == "has no mark");
  CHECK(of(proto + tuple) == "has no mark");
  CHECK(of(proto + "\x87") == "takes from an empty stack");
  CHECK(of(proto + reduce) == "takes from an empty stack");
  CHECK(of(proto + build) == "takes from an empty stack");
  CHECK(of(proto + none + build) == "gives attributes to something else than a dictionary");
  CHECK(of(proto + put(1)) == "remembers nothing");
  CHECK(of(proto + get(1)) == "recalls what it did not remember");
  CHECK(of(proto + none + none + reduce) == "calls something that is no function");
  CHECK(of(proto + text("x") + persistent_id) == "names a storage in an unknown way");
  CHECK(of(proto + "X\xff\xff\xff\xff" + "abc") == "ends too early");
  CHECK(of(proto + "ctorch") == "ends too early");
  CHECK(of(proto + "\x8a\x09" + std::string(9, 'x')) == "has a number of more than 64 bits");
  CHECK(of(proto + "\x8a\xff" + std::string(9, 'x')) == "ends too early");
  CHECK(of(program(none + none)) == "has a key that is no text");
  CHECK(of(program(text("x") + none)) == "x: is not a tensor");
  CHECK(of(program(text("x") + dict)) == "x: is not a tensor");
  const auto x = text("x") + tensor(floats, 0, {1}, {1});
  CHECK(of(program(x + x)) == "x: occurs twice");
  for (const char instruction : "012FGILPSTUV]adegilop\x81\x82\x8b\x8c\x93\x95\xff"s)
    CHECK(of(proto + instruction) == "has an instruction that no checkpoint needs: number " +
                                         std::to_string(static_cast<unsigned char>(instruction)));
}

TEST_CASE("storages and tensors made in other ways") {
  using namespace pickle;
  const auto id = [](const std::string& items) { return complaint(proto + mark + items + tuple + persistent_id); };
  const auto type = global("torch", "FloatStorage");
  const std::string unknown = "data.pkl: names a storage in an unknown way";
  CHECK(id(text("storage") + type + text("0") + text("cpu")) == unknown);
  CHECK(id(text("module") + type + text("0") + text("cpu") + integer(1)) == unknown);
  CHECK(id(text("storage") + text("FloatStorage") + text("0") + text("cpu") + integer(1)) == unknown);
  CHECK(id(text("storage") + global("collections", "OrderedDict") + text("0") + text("cpu") + integer(1)) == unknown);
  CHECK(id(text("storage") + type + integer(0) + text("cpu") + integer(1)) == unknown);
  CHECK(id(text("storage") + type + text("0") + text("cpu") + text("1")) == unknown);

  const auto rebuild = [](const std::string& arguments) {
    return complaint(proto + global("torch._utils", "_rebuild_tensor_v2") + mark + arguments + tuple + reduce);
  };
  const std::string way = "data.pkl: makes a tensor in an unknown way";
  CHECK(rebuild(floats + integer(0) + integers({1})) ==
        "data.pkl: calls _rebuild_tensor_v2 with other arguments than a checkpoint");
  CHECK(rebuild(none + integer(0) + integers({1}) + integers({1})) == way);
  CHECK(rebuild(floats + none + integers({1}) + integers({1})) == way);
  CHECK(rebuild(floats + integer(0) + integer(1) + integers({1})) == way);
  CHECK(rebuild(floats + integer(0) + integers({1, 1}) + integers({1})) == way);
  CHECK(rebuild(floats + integer(0) + mark + text("1") + tuple + integers({1})) == way);
  CHECK(rebuild(floats + integer(0) + integers(std::vector<std::int64_t>(17, 1)) +
                integers(std::vector<std::int64_t>(17, 1))) == way);
}

TEST_CASE("bombs cost no more than their own size") {
  using namespace pickle;
  constexpr int many = 300'000;
  std::string nested = proto + ")", wide = proto + ")", cyclic = proto + dict + put(0), remembered = proto + none,
              marks = proto,
              keys = proto + dict + text(std::string(500'000, 'k')) + put(0) + tensor(floats, 0, {1}, {1}) + put(1) +
                     setitem;
  for (int i = 0; i < many; ++i) {
    nested += "\x85";          // tuples in tuples
    wide += "q\x01h\x01\x86";  // a tuple of itself twice: 2^many items, spelled out
    marks += mark;
  }
  for (unsigned i = 0; i < many; ++i) remembered += put(0xffffffffu - i);
  for (int i = 0; i < 50'000; ++i) cyclic += get(0) + text("x") + get(0) + setitem;
  for (int i = 0; i < 50'000; ++i) keys += get(0) + get(1) + setitem;
  CHECK(complaint(nested + stop) == "data.pkl: is not a dictionary");
  CHECK(complaint(wide + stop) == "data.pkl: is not a dictionary");
  CHECK(complaint(cyclic + stop) == "data.pkl: is not a dictionary");
  CHECK(complaint(marks + stop) == "data.pkl: is not a dictionary");
  CHECK(complaint(remembered + stop) == "data.pkl: is not a dictionary");
  const auto repeated = complaint(keys + stop);
  CHECK(repeated.starts_with("data.pkl: ...kkk"));
  CHECK(repeated.ends_with("kkk: occurs twice"));
  CHECK(complaint(proto + dict + put(0) + get(0) + text("x") + get(0) + setitem + stop) ==
        "data.pkl: is not a dictionary");
  CHECK(complaint(proto + dict + put(0) + text("x") + get(0) + setitem + stop) == "data.pkl: x: is not a tensor");
  CHECK(complaint(proto + std::string(2'000'000, 'N')) == "data.pkl: bytes: got 2000002, want at most 2000000");
}

TEST_CASE("archives that are none, or none of torch") {
  const auto good = parts(tensor_program(0, {1}, {1}));
  CHECK(read(zip_bytes(good)).complaint == "");
  CHECK(read("").complaint == "is no zip archive, or its directory is damaged");
  CHECK(read("PK\3\4").complaint == "is no zip archive, or its directory is damaged");
  CHECK(read(zip_bytes({})).complaint == "is no zip archive, or its directory is damaged");
  CHECK(read(zip_bytes({{"word/document.xml", "x"}})).complaint == "has no data.pkl: is no file of torch.save");
  CHECK(read(zip_bytes({{"data.pkl", "x"}})).complaint == "has no data.pkl: is no file of torch.save");
  CHECK(read("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.").complaint ==
        "is of torch before 1.6: save it again with torch 1.6 or newer");
  auto order = good;
  order.push_back({"root/byteorder", "little"});
  CHECK(read(zip_bytes(order)).complaint == "");
  order.back().bytes = "big";
  CHECK(read(zip_bytes(order)).complaint == "byteorder: is not little");
}

TEST_CASE("entries that are compressed, encrypted, twice there, overlap, or lie elsewhere") {
  const auto with = [](auto change) {
    auto all = parts(tensor_program(0, {1}, {1}));
    change(all);
    return read(zip_bytes(all)).complaint;
  };
  const std::string packed = "root/data/0: is compressed or encrypted, want stored";
  CHECK(with([](auto& all) { all.at(1).method = 8; }) == packed);
  CHECK(with([](auto& all) { all.at(1).flags = 1; }) == packed);
  CHECK(with([](auto& all) { all.at(1).unquantised_size = 1'000'000'000; }) == packed);
  CHECK(with([](auto& all) { all.push_back(all.at(1)); }) == "root/data/0: occurs twice");
  CHECK(with([](auto& all) { all.at(1).local_header_at = 0; }) == "root/data/0: is damaged");  // another entry's header
  CHECK(with([](auto& all) {
          all.push_back({"root/data/0", all.at(1).bytes});
          all.at(2).local_header_at = 30 + all.at(0).name.size() + all.at(0).bytes.size();
        }) == "root/data/0: overlaps root/data/0");
  CHECK(with([](auto& all) { all.at(0).size = all.at(0).bytes.size() + 60; }) == "root/data/0: overlaps root/data.pkl");
  CHECK(with([](auto& all) { all.at(1).size = 100'000; }) == "root/data/0: is behind the end of the file");
  CHECK(with([](auto& all) { all.at(1).size = 0xfffffffe; }) == "root/data/0: is behind the end of the file");
  CHECK(with([](auto& all) { all.at(1).local_header_at = 0xfffffffe; }) == "root/data/0: is damaged");
  CHECK(with([](auto& all) { all.at(1).name = std::string(300, 'n'); }) == "an entry's name is too long");
  CHECK(read(zip_bytes(parts(tensor_program(0, {1}, {1})), 3)).complaint == "the zip directory is damaged");
  CHECK(read(zip_bytes(parts(tensor_program(0, {1}, {1})), 65535)).complaint == "the zip directory is damaged");
}

TEST_CASE("a file on disk, and its name in the complaint") {
  const temporary_file good(zip_bytes(parts(tensor_program(0, {1}, {1})))), bad("PK");
  CHECK(rwkv7::open_pth(good.path()).tensors.size() == 1);
  CHECK(reported([&] { rwkv7::open_pth(bad.path()); }) ==
        "rwkv7::pth: " + rwkv7::detail::shown(bad.path()) + ": is no zip archive, or its directory is damaged");
}
