// tests/master/autopsy_test.cpp: what is known of a process's end, in words.
#include "master/autopsy.h"

#include <signal.h>

#include <array>

#include "ipc/shared_cell.h"

namespace {

ipc::SharedCell<ipc::CrashNote> note_of(std::string_view module, std::span<void* const> frames,
                                        std::span<const ipc::CrashNote::Object> objects) {
    auto note = ipc::SharedCell<ipc::CrashNote>::make();
    REQUIRE(note);
    (*note)->write({.number = SIGABRT}, frames, {"", "", ""}, {module, objects});
    return std::move(*note);
}

}  // namespace

TEST_CASE("what a process said that it runs is told without a note, too", "[crash]") {
    const auto note = ipc::SharedCell<ipc::CrashNote>::make();
    REQUIRE(note);
    CHECK(master::autopsy(*note->get()).empty());
    CHECK(master::autopsy(*note->get(), "one handler=hello") == " module=one handler=hello");
}

TEST_CASE("words that are more than a module's are in quotes", "[crash]") {
    CHECK(master::module_words("") == "");
    CHECK(master::module_words("one") == " module=one");
    CHECK(master::module_words("one function=f") == " module=one function=f");
    CHECK(master::module_words("one job=f") == " module=one job=f");
    CHECK(master::module_words("one function=f ending=fine") == " module=\"one function=f ending=fine\"");
    CHECK(master::module_words("one pid=1") == " module=\"one pid=1\"");
    CHECK(master::module_words("=x handler=h") == " module=\"=x handler=h\"");
    CHECK(master::module_words("a\"b") == " module=\"a\\\"b\"");
}

TEST_CASE("one of several names of a module is that which was said", "[crash]") {
    const auto note = note_of("one,two,three", {}, {});
    for (const std::string name : {"one", "two", "three"})
        CHECK(master::autopsy(*note.get(), name + " handler=h") == " module=" + name + " handler=h");
    CHECK(master::autopsy(*note.get(), "tw handler=h") == " module=one,two,three");
    CHECK(master::autopsy(*note.get()) == " module=one,two,three");
}

TEST_CASE("a call in an object that is not ours is an offset, one in ours has a name", "[crash]") {
    const std::array<void*, 3> frames{reinterpret_cast<void*>(0x10234), reinterpret_cast<void*>(0x50000),
                                      reinterpret_cast<void*>(&master::memory_words)};
    const std::array objects{ipc::CrashNote::Object{"probe.so", 0x10000, 0x20000, 0xf000}};
    const auto note = note_of("probe", frames, objects);
    const auto text = master::autopsy(*note.get());
    CAPTURE(text);
    CHECK(text.find(" module=probe backtrace=\"probe.so+0x1234 < 0x50000 < master::memory_words(") == 0);
}

TEST_CASE("what a note claims beyond its bounds is not believed", "[crash]") {
    const std::vector<ipc::CrashNote::Object> many(20, {"x.so", 0x1000, 0x2000, 0});
    const std::vector<void*> frames(100, reinterpret_cast<void*>(0x1500));
    const auto note = note_of("m", frames, many);
    CHECK(note->object_at(0x1500) == 0u);
    CHECK_FALSE(note->object_at(0x2000));
    std::array<void*, ipc::CrashNote::frames_max> read{};
    CHECK(note->frames(read) == ipc::CrashNote::frames_max);
    note->clear();
    CHECK_FALSE(note->object_at(0x1500));
    CHECK(note->module().empty());
}

TEST_CASE("why a process is replaced that holds too much", "[crash]") {
    CHECK(master::memory_words(2, 1, "") == " rss_bytes=2 max_memory=1");
    CHECK(master::memory_words(2, 1, "one,two") == " rss_bytes=2 max_memory=1 modules_loaded=one,two");
    CHECK(master::memory_words(2, 1, "one pid=1") ==
          " rss_bytes=2 max_memory=1 modules_loaded=\"one pid=1\"");
}
