// tests/worker/object_map_test.cpp: an address is in one object, or in none.
#include "worker/object_map.h"

#include <dlfcn.h>

using worker::ObjectMap;

TEST_CASE("an address is found in the object that it lies in", "[crash]") {
    ObjectMap map;
    CHECK(map.find(0x1000) == nullptr);
    map.add({.begin = 0x1000, .end = 0x2000, .bias = 0x1000, .file = {"one.so"}, .module = {"one"}});
    map.add({.begin = 0x3000, .end = 0x3800, .bias = 0x2000, .file = {"two.so"}, .module = {}});
    CHECK(map.find(0xfff) == nullptr);
    REQUIRE(map.find(0x1000) != nullptr);
    CHECK(map.find(0x1000)->module_name() == "one");
    CHECK(map.find(0x1fff)->file_name() == "one.so");
    CHECK(map.find(0x2000) == nullptr);
    CHECK(map.find(0x3000)->module_name().empty());
    CHECK(map.find(0x3000)->bias == 0x2000);
    CHECK(map.find(0x3800) == nullptr);
}

TEST_CASE("a map that is full takes no more", "[crash]") {
    ObjectMap map;
    for (std::uintptr_t at = 1; at <= ObjectMap::objects_max + 1; ++at)
        map.add({.begin = at << 12, .end = (at << 12) + 1, .bias = 0, .file = {}, .module = {}});
    CHECK(map.size() == ObjectMap::objects_max);
    CHECK(map.find(ObjectMap::objects_max << 12) != nullptr);
    CHECK(map.find((ObjectMap::objects_max + 1) << 12) == nullptr);
}

TEST_CASE("the objects of a process are known by file, and modules by their names", "[crash]") {
    const void* const inside = ::dlsym(RTLD_DEFAULT, "getppid");
    REQUIRE(inside != nullptr);
    const auto its = reinterpret_cast<std::uintptr_t>(inside);
    const std::string long_name(100, 'n');
    struct Known {
        std::vector<std::string> names;
        std::string expected;
    };
    const auto [names, expected] = GENERATE_COPY(
        Known{{}, ""}, Known{{"one"}, "one"}, Known{{"one", "two"}, "one,two"},
        Known{{long_name}, long_name.substr(0, 63)}, Known{{long_name, "two"}, long_name.substr(0, 63)});
    std::vector<ObjectMap::Named> modules;
    for (const auto& name : names) modules.push_back({name, inside});
    modules.push_back({"nowhere", nullptr});
    const auto map = ObjectMap::of_process(modules);
    const auto* libc = map.find(its);
    REQUIRE(libc != nullptr);
    CHECK(libc->file_name() == "libc.so.6");
    CHECK(libc->module_name() == expected);
    CHECK(map.find(reinterpret_cast<std::uintptr_t>(&ObjectMap::of_process)) == nullptr);  // the program
}
