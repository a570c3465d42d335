// tests/worker/body_buffer_test.cpp: what is kept of bodies, where, how much of it, and until when.
#include "worker/connection/body_buffer.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "tests/conf/temporary_folder.h"
#include "tests/worker/turn.h"

namespace {

using ipc::BufferedBody;
using ipc::BufferRefusal;
using worker::connection::BodyBuffer;
using worker::connection::BufferBounds;
using worker::connection::Buffers;
using worker::connection::Chunk;
using worker::connection::SpillFolder;

constexpr std::uint64_t kib = 1024;

/// Text that does not repeat itself.
std::string numbers(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i * 7919) + ",";
    text.resize(size);
    return text;
}

std::string contents(std::span<const Chunk> chunks) {
    std::string all;
    for (const Chunk& chunk : chunks) {
        if (chunk.file < 0) {
            all.append(chunk.bytes, static_cast<std::size_t>(chunk.size));
            continue;
        }
        std::string piece(static_cast<std::size_t>(chunk.size), '\0');
        REQUIRE(::pread(chunk.file, piece.data(), piece.size(), chunk.offset) ==
                static_cast<ssize_t>(piece.size()));
        all += piece;
    }
    return all;
}

struct World {
    explicit World(const BufferBounds& bounds = {.memory = 1024 * kib, .file = 1024 * kib},
                   bool named = false)
        : totals(bounds), buffers(totals, std::move(*SpillFolder::open(folder.path(""), named)), use) {}

    [[nodiscard]] BodyBuffer body(const BufferBounds& bounds, BufferedBody of = BufferedBody::request) {
        BodyBuffer made(buffers);
        made.begin(of, bounds);
        return made;
    }
    [[nodiscard]] std::uint64_t refused(BufferedBody body, BufferRefusal why) const {
        return use.refused[static_cast<std::size_t>(body)][static_cast<std::size_t>(why)].get();
    }
    [[nodiscard]] bool no_files() const { return std::filesystem::is_empty(folder.path("")); }

    TemporaryFolder folder;
    ipc::BufferUse use;
    worker::connection::BufferTotals totals;
    Buffers buffers;
};

/// While it lives, files may be so long.
class FileLimit {
 public:
    explicit FileLimit(rlim_t bytes) : signal_(::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    FileLimit(const FileLimit&) = delete;
    FileLimit& operator=(const FileLimit&) = delete;
    ~FileLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        ::signal(SIGXFSZ, signal_);
    }

 private:
    rlimit before_{};
    sighandler_t signal_;
};

}  // namespace

TEST_CASE("a body is kept in memory up to its bound, and then in a file that nobody sees", "[buffer]") {
    for (const bool named : {false, true}) {
        World world({.memory = 1024 * kib, .file = 1024 * kib}, named);
        {
            const std::string text = numbers(300 * kib);
            auto body = world.body({.memory = 100 * kib, .file = 500 * kib});
            for (std::size_t at = 0; at < text.size(); at += 7000)
                CHECK(body.append(std::string_view(text).substr(at, 7000)).empty());
            CHECK(body.size() == text.size());
            CHECK((contents(body.chunks()) == text));
            CHECK((contents(body.chunks()) == text));  // as often as wanted
            CHECK(world.buffers.memory() == 100 * kib);
            CHECK(world.buffers.file() == 200 * kib);
            CHECK(world.use.file.get() == 200 * kib);
            CHECK(world.no_files());
        }
        CHECK(world.buffers.memory() == 0);
        CHECK(world.buffers.file() == 0);
        CHECK(world.use.memory.get() == 0);
        CHECK(world.use.spilled.get() == 200 * kib);
    }
}

TEST_CASE("a small body takes little memory", "[buffer]") {
    World world;
    auto body = world.body({.memory = 1024 * kib, .file = 0});
    CHECK(body.append("hello").empty());
    CHECK(world.buffers.memory() == 4 * kib);
    CHECK(body.append(" world").empty());
    CHECK(world.buffers.memory() == 4 * kib);
    CHECK(body.chunks().size() == 1);
    CHECK(contents(body.chunks()) == "hello world");
}

TEST_CASE("what finds no room comes back, with the reason, and is counted once", "[buffer]") {
    World world({.memory = 16 * kib, .file = 16 * kib});
    const std::string text = numbers(64 * kib);
    SECTION("a body without a file is larger than its bound") {
        auto body = world.body({.memory = 8 * kib, .file = 0});
        CHECK(body.append(text).size() == 56 * kib);
        CHECK(body.refusal() == BufferRefusal::size);
        CHECK(body.append("more") == "more");
        CHECK(world.refused(BufferedBody::request, BufferRefusal::size) == 1);
    }
    SECTION("and with a file") {
        auto body = world.body({.memory = 8 * kib, .file = 12 * kib}, BufferedBody::response);
        CHECK(body.append(text).size() == 44 * kib);
        CHECK(body.refusal() == BufferRefusal::size);
        CHECK((contents(body.chunks()) == text.substr(0, 20 * kib)));
        CHECK(world.refused(BufferedBody::response, BufferRefusal::size) == 1);
    }
    SECTION("all bodies together fill the memory") {
        auto first = world.body({.memory = 16 * kib, .file = 0});
        CHECK(first.append(std::string_view(text).substr(0, 16 * kib)).empty());
        auto second = world.body({.memory = 16 * kib, .file = 0});
        CHECK(second.append("x") == "x");
        CHECK(second.refusal() == BufferRefusal::total);
        auto third = world.body({.memory = 16 * kib, .file = 4 * kib});
        CHECK(third.append("x").empty());  // it has a file
        CHECK(world.buffers.file() == 1);
        first.clear();
        CHECK(second.append("x").empty());
        CHECK(world.refused(BufferedBody::request, BufferRefusal::total) == 1);
    }
    SECTION("and the files") {
        auto body = world.body({.memory = 4 * kib, .file = 1024 * kib});
        CHECK(body.append(text).size() == 44 * kib);
        CHECK(body.refusal() == BufferRefusal::total);
        CHECK((contents(body.chunks()) == text.substr(0, 20 * kib)));
    }
    SECTION("the disk is full") {
        const Logged logged;
        const FileLimit limit(10'000);
        auto body = world.body({.memory = 4 * kib, .file = 1024 * kib});
        CHECK(body.append(std::string_view(text).substr(0, 20 * kib)).size() == 16 * kib - 10'000);
        CHECK(body.refusal() == BufferRefusal::disk);
        CHECK((contents(body.chunks()) == text.substr(0, 4 * kib + 10'000)));
        CHECK(body.append("more") == "more");
        CHECK(world.refused(BufferedBody::request, BufferRefusal::disk) == 1);
        CHECK(logged.text().find("no file for a body") != std::string::npos);
        CHECK(logged.text().find("File too large") != std::string::npos);
    }
    SECTION("there is no folder") {
        ipc::BufferUse use;
        worker::connection::BufferTotals totals({.memory = 16 * kib, .file = 16 * kib});
        Buffers buffers(totals, std::nullopt, use);
        BodyBuffer body(buffers);
        body.begin(BufferedBody::request, {.memory = 4 * kib, .file = 4 * kib});
        CHECK(body.append(text).size() == 60 * kib);
        CHECK(body.refusal() == BufferRefusal::disk);
    }
}

TEST_CASE("loops share what there is for bodies together, and give it back", "[buffer]") {
    const TemporaryFolder folder;
    worker::connection::BufferTotals totals({.memory = 16 * kib, .file = 16 * kib});
    ipc::BufferUse use, other_use;
    Buffers buffers(totals, std::move(*SpillFolder::open(folder.path(""), false)), use);
    Buffers other(totals, std::move(*SpillFolder::open(folder.path(""), false)), other_use);
    const std::string text = numbers(64 * kib);
    const auto kept = [&](Buffers& by) {
        BodyBuffer body(by);
        body.begin(BufferedBody::request, {.memory = 1024 * kib, .file = 1024 * kib});
        return text.size() - body.append(text).size();
    };
    {
        BodyBuffer body(buffers);
        body.begin(BufferedBody::request, {.memory = 1024 * kib, .file = 1024 * kib});
        const std::size_t rest = body.append(text).size();
        CHECK(text.size() - rest == 16 * kib);
        CHECK(body.refusal() == BufferRefusal::total);
        CHECK(kept(other) == 0);
    }
    CHECK(kept(other) == 16 * kib);
    CHECK(kept(buffers) == 16 * kib);
}

TEST_CASE("what is still being sent outlives the buffer, and is counted until then", "[buffer]") {
    World world;
    const std::string text = numbers(40 * kib);
    std::vector<Chunk> sending;
    {
        auto body = world.body({.memory = 8 * kib, .file = 500 * kib});
        CHECK(body.append(text).empty());
        sending.assign(body.chunks().begin(), body.chunks().end());
        body.clear();
        CHECK(body.empty());
    }
    CHECK(world.buffers.memory() == 8 * kib);
    CHECK(world.buffers.file() == 32 * kib);
    CHECK((contents(sending) == text));
    sending.clear();
    CHECK(world.buffers.memory() == 0);
    CHECK(world.buffers.file() == 0);
}

TEST_CASE("what was sent makes room again, in memory and in files", "[buffer]") {
    World world;
    const std::string text = numbers(20 * kib);
    auto body = world.body({.memory = 8 * kib, .file = 12 * kib}, BufferedBody::response);
    for (int round = 0; round < 5; ++round) {
        CHECK(body.append(text).empty());
        CHECK(body.append("more") == "more");
        body.hold("more");
        CHECK((contents(body.chunks()) == text + "more"));
        {
            const std::vector<Chunk> sending(body.chunks().begin(), body.chunks().end());
            body.passed_on();
            CHECK(body.empty());
            CHECK(body.append("yet") == "yet");  // nothing has left so far
        }
        body.sent();
        CHECK(world.buffers.memory() == 0);
        CHECK(world.buffers.file() == 0);
    }
}

TEST_CASE("whatever comes and goes, bytes leave in the order they came", "[buffer]") {
    std::mt19937 random(7);
    World world({.memory = 256 * kib, .file = 256 * kib});
    for (int run = 0; run < 50; ++run) {
        const std::string text = numbers(600 * kib);
        auto body = world.body({.memory = 1 + random() % (64 * kib), .file = random() % (256 * kib)},
                               BufferedBody::response);
        std::string got;
        std::vector<Chunk> sending;
        for (std::size_t at = 0; at < text.size();) {
            const auto size = std::min<std::size_t>(1 + random() % 40'000, text.size() - at);
            body.hold(body.append(std::string_view(text).substr(at, size)));
            at += size;
            if (random() % 4 != 0) continue;
            got += contents(sending);
            sending.clear();
            body.sent();
            sending.assign(body.chunks().begin(), body.chunks().end());
            body.passed_on();
        }
        CHECK((got + contents(sending) + contents(body.chunks()) == text));
    }
    CHECK(world.buffers.memory() == 0);
    CHECK(world.buffers.file() == 0);
}

TEST_CASE("a folder in which no files can be made is refused", "[buffer]") {
    const TemporaryFolder folder;
    const auto complaint = [](const std::string& path) {
        const auto opened = SpillFolder::open(path);
        return opened ? std::string() : opened.error().text();
    };
    CHECK(complaint(folder.path("")).empty());
    CHECK(complaint(folder.path("none")) ==
          "buffer_path " + folder.path("none") + ": No such file or directory");
    CHECK(complaint(folder.write("file", "")) == "buffer_path " + folder.path("file") + ": Not a directory");
    CHECK_FALSE(complaint("/proc").empty());
}
