#include "worker/observe/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <thread>

#include <spdlog/spdlog.h>

using namespace std::chrono_literals;
using worker::observe::LogFile;
using worker::observe::LogWriter;

namespace {

/// A folder of its own, gone with its owner. The error log is silent meanwhile.
class Folder {
 public:
    Folder() {
        std::string pattern = std::filesystem::temp_directory_path() / "reeve-log-XXXXXX";
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
        spdlog::set_default_logger(std::make_shared<spdlog::logger>("quiet"));  // no sinks
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::filesystem::remove_all(path_);
        spdlog::set_default_logger(error_log_);
    }

    [[nodiscard]] ipc::UniqueFd open(const std::string& name) const {
        return ipc::UniqueFd(::open((path_ / name).c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream in(path_ / name);
        return {std::istreambuf_iterator<char>(in), {}};
    }

 private:
    std::filesystem::path path_;
    std::shared_ptr<spdlog::logger> error_log_ = spdlog::default_logger();
};

ipc::UniqueFd full_disk() { return ipc::UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)); }

std::unique_ptr<LogWriter> start(ipc::UniqueFd descriptor, std::chrono::milliseconds patience = 10s) {
    std::vector<LogWriter::Target> targets;
    targets.push_back({std::move(descriptor), "access.log"});
    auto writer = LogWriter::start(std::move(targets), patience);
    REQUIRE(writer);
    return std::move(*writer);
}

void reopen(LogWriter& writer, ipc::UniqueFd descriptor) {
    std::vector<ipc::UniqueFd> descriptors;
    descriptors.push_back(std::move(descriptor));
    writer.reopen(std::move(descriptors));
}

/// Waits, ten seconds at most, until so many reopens are done.
void await_reopens(LogWriter& writer, std::uint64_t count) {
    while (count > 0) {
        pollfd done{.fd = writer.done_fd(), .events = POLLIN, .revents = 0};
        REQUIRE(::poll(&done, 1, 10'000) == 1);
        const auto some = writer.reopens_done();
        REQUIRE(some <= count);
        count -= some;
    }
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::string numbered(std::size_t number) { return "line " + std::to_string(number) + std::string(60, '.'); }

/// Reads a pipe until its last writer is gone.
std::string read_all(int fd) {
    std::string text;
    std::array<char, 65536> some{};
    for (ssize_t got = 0; (got = ::read(fd, some.data(), some.size())) > 0;)
        text.append(some.data(), static_cast<std::size_t>(got));
    return text;
}

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        reader = ipc::UniqueFd(ends[0]);
        writer = ipc::UniqueFd(ends[1]);
    }
    ipc::UniqueFd reader, writer;
};

}  // namespace

TEST_CASE("lines reach the file whole and in order", "[log_writer]") {
    const Folder folder;
    auto writer = start(folder.open("log"));
    std::string expected;
    {
        LogFile::Appender appender(writer->file(0));
        for (std::size_t i = 0; i < 5'000; ++i) {
            appender.append(numbered(i));
            expected += numbered(i) + "\n";
            if (i % 977 == 0) CHECK(appender.flush());
        }
    }
    writer->close();
    writer->close();
    CHECK(folder.read("log") == expected);
    CHECK(writer->lines_lost() == 0);
}

TEST_CASE("a line written into the buffer is a line as well", "[log_writer]") {
    const Folder folder;
    auto writer = start(folder.open("log"));
    {
        LogFile::Appender appender(writer->file(0));
        appender.buffer() += "first\n";
        appender.commit();
        appender.append("second");
        appender.append(std::string(300'000, 'x'));  // longer than a buffer
        appender.append("last");
    }
    writer->close();
    CHECK(folder.read("log") == "first\nsecond\n" + std::string(300'000, 'x') + "\nlast\n");
}

TEST_CASE("a flush brings lines to the file while the appender lives on", "[log_writer]") {
    const Folder folder;
    auto writer = start(folder.open("log"));
    LogFile::Appender appender(writer->file(0));
    CHECK(appender.flush());  // of nothing
    appender.append("one");
    CHECK(appender.flush());
    reopen(*writer, folder.open("next"));
    await_reopens(*writer, 1);
    CHECK(folder.read("log") == "one\n");
}

TEST_CASE("a reopen splits the lines exactly where it was asked for", "[log_writer]") {
    const Folder folder;
    auto writer = start(folder.open("old"));
    {
        LogFile::Appender appender(writer->file(0));
        appender.append("before");
        CHECK(appender.flush());
        reopen(*writer, folder.open("new"));
        appender.append("after");
        await_reopens(*writer, 1);
        CHECK(folder.read("old") == "before\n");
    }
    writer->close();
    CHECK(folder.read("old") == "before\n");
    CHECK(folder.read("new") == "after\n");
}

TEST_CASE("a reopen closes the old descriptor before it is reported", "[log_writer]") {
    const Folder folder;
    Pipe old;
    auto writer = start(std::move(old.writer));
    LogFile::Appender appender(writer->file(0));
    appender.append("before");
    CHECK(appender.flush());
    reopen(*writer, folder.open("new"));
    await_reopens(*writer, 1);
    CHECK(read_all(old.reader.get()) == "before\n");  // and then end-of-file
}

TEST_CASE("no line is lost or doubled over a hundred reopens", "[log_writer]") {
    const Folder folder;
    auto writer = start(folder.open("0"));
    std::size_t number = 0;
    {
        LogFile::Appender appender(writer->file(0));
        for (std::size_t file = 1; file <= 100; ++file) {
            for (std::size_t i = 0; i < 37 * (file % 30); ++i) appender.append(numbered(number++));
            if (file % 3 == 0) appender.flush();
            reopen(*writer, folder.open(std::to_string(file)));
            if (file % 7 == 0) await_reopens(*writer, 7);  // the others run into each other
        }
        await_reopens(*writer, 2);
    }
    writer->close();
    REQUIRE(writer->lines_lost() == 0);

    std::size_t expected = 0;
    for (std::size_t file = 0; file <= 100; ++file)
        for (const auto& line : lines_of(folder.read(std::to_string(file))))
            REQUIRE(line == numbered(expected++));
    CHECK(expected == number);
}

TEST_CASE("several loops share a log, each in its own order", "[log_writer]") {
    const Folder folder;
    auto writer = start(folder.open("log"));
    constexpr std::size_t loops = 4, lines_each = 4'000;
    std::vector<std::thread> threads;
    for (std::size_t loop = 0; loop < loops; ++loop) {
        threads.emplace_back([&writer, loop] {
            LogFile::Appender appender(writer->file(0));
            for (std::size_t i = 0; i < lines_each; ++i) {
                appender.append(std::to_string(loop) + " " + std::to_string(i));
                while (i % 500 == 0 && !appender.flush()) std::this_thread::yield();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    writer->close();

    std::map<std::size_t, std::size_t> next;
    for (const auto& line : lines_of(folder.read("log"))) {
        std::size_t loop = 0, number = 0;
        REQUIRE((std::istringstream(line) >> loop >> number));
        REQUIRE(number == next[loop]++);
    }
    CHECK(next == std::map<std::size_t, std::size_t>{
                      {0, lines_each}, {1, lines_each}, {2, lines_each}, {3, lines_each}});
    CHECK(writer->lines_lost() == 0);
}

TEST_CASE("a full disk costs lines that are counted, and later ones are written", "[log_writer]") {
    const Folder folder;
    auto writer = start(full_disk());
    {
        LogFile::Appender appender(writer->file(0));
        for (std::size_t i = 0; i < 10; ++i) appender.append("lost");
        CHECK(appender.flush());
        reopen(*writer, folder.open("log"));
        await_reopens(*writer, 1);
        CHECK(writer->lines_lost() == 10);
        CHECK(writer->file(0).lines_lost() == 10);
        appender.append("kept");
    }
    writer->close();
    CHECK(folder.read("log") == "kept\n");
    CHECK(writer->lines_lost() == 10);
}

TEST_CASE("a line that the disk cut is ended before the next one", "[log_writer]") {
    const Folder folder;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    auto writer = start(folder.open("log"));
    LogFile::Appender appender(writer->file(0));

    auto limit = before;
    limit.rlim_cur = 25;  // two lines and a half
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    for (const auto* line : {"111111111", "222222222", "333333333", "444444444"}) appender.append(line);
    CHECK(appender.flush());
    reopen(*writer, ipc::UniqueFd());  // the same file goes on; says that the lines were tried
    await_reopens(*writer, 1);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);

    CHECK(writer->lines_lost() == 2);
    appender.append("555555555");
    CHECK(appender.flush());
    reopen(*writer, ipc::UniqueFd());
    await_reopens(*writer, 1);
    CHECK(folder.read("log") == "111111111\n222222222\n33333\n555555555\n");
    CHECK(writer->lines_lost() == 2);
}

TEST_CASE("a pipe that nobody reads blocks no loop, and each line is written or counted", "[log_writer]") {
    const Folder folder;
    Pipe pipe;
    auto writer = start(std::move(pipe.writer), 1ms);
    constexpr std::size_t count = 100'000;  // far more than the pipe and all buffers hold
    {
        LogFile::Appender appender(writer->file(0));
        for (std::size_t i = 0; i < count; ++i) appender.append(numbered(i));
    }
    writer->close();
    const auto lost = writer->lines_lost();
    writer.reset();

    const auto lines = lines_of(read_all(pipe.reader.get()));
    CHECK(lost > 0);
    CHECK(lines.size() + lost == count);
    CHECK(lines.size() > 100);
    for (std::size_t i = 0; i < lines.size(); ++i) REQUIRE(lines[i] == numbered(i));
}

TEST_CASE("what an appender holds when it goes is handed over, however far behind the writer is",
          "[log_writer]") {
    Pipe pipe;
    auto writer = start(std::move(pipe.writer));
    std::size_t count = 0;
    {
        LogFile::Appender appender(writer->file(0));
        do appender.append(numbered(count++));
        while (writer->lines_lost() == 0);
        appender.append("the last");
    }
    std::string text;
    std::thread reader([&] { text = read_all(pipe.reader.get()); });
    const auto lost = writer->lines_lost();
    writer.reset();
    reader.join();
    const auto lines = lines_of(text);
    CHECK(lines.back() == "the last");
    CHECK(lines.size() + lost == count + 1);
}

TEST_CASE("a pipe that is read late gets every line that was under way", "[log_writer]") {
    Pipe pipe;
    auto writer = start(std::move(pipe.writer));
    constexpr std::size_t count = 5'000;  // more than a pipe holds, less than the buffers
    {
        LogFile::Appender appender(writer->file(0));
        for (std::size_t i = 0; i < count; ++i) appender.append(numbered(i));
    }
    std::string text;
    std::thread reader([&] { text = read_all(pipe.reader.get()); });
    writer->close();
    writer.reset();
    reader.join();
    const auto lines = lines_of(text);
    REQUIRE(lines.size() == count);
    for (std::size_t i = 0; i < count; ++i) REQUIRE(lines[i] == numbered(i));
}

TEST_CASE("a pipe that nobody reads holds up neither a reopen nor another log", "[log_writer]") {
    const Folder folder;
    Pipe pipe;
    std::vector<LogWriter::Target> targets;
    targets.push_back({std::move(pipe.writer), "stuck"});
    targets.push_back({folder.open("log"), "log"});
    auto started = LogWriter::start(std::move(targets), 1ms);
    REQUIRE(started);
    auto& writer = **started;
    REQUIRE(writer.files() == 2);

    LogFile::Appender stuck(writer.file(0));
    LogFile::Appender free(writer.file(1));
    for (std::size_t i = 0; i < 20'000; ++i) stuck.append(numbered(i));
    std::string expected;
    for (std::size_t i = 0; i < 5'000; ++i) {
        free.append(numbered(i));
        expected += numbered(i) + "\n";
    }
    free.flush();

    std::vector<ipc::UniqueFd> descriptors;
    descriptors.push_back(folder.open("unstuck"));
    descriptors.push_back(folder.open("log.1"));
    writer.reopen(std::move(descriptors));
    await_reopens(writer, 1);
    CHECK(folder.read("log") == expected);
    CHECK(writer.file(0).lines_lost() > 0);
    CHECK(writer.file(1).lines_lost() == 0);
}

TEST_CASE("a pipe whose reader has gone costs lines, not the process", "[log_writer]") {
    const Folder folder;
    Pipe pipe;
    auto writer = start(std::move(pipe.writer));
    pipe.reader.reset();
    LogFile::Appender appender(writer->file(0));
    appender.append("to nobody");
    CHECK(appender.flush());
    reopen(*writer, folder.open("log"));
    await_reopens(*writer, 1);
    CHECK(writer->lines_lost() == 1);
}

TEST_CASE("the flags of a pipe that others share stay as they were", "[log_writer]") {
    Pipe pipe;
    const ipc::UniqueFd shared(::dup(pipe.writer.get()));
    auto writer = start(std::move(pipe.writer));
    {
        LogFile::Appender appender(writer->file(0));
        appender.append("line");
    }
    writer->close();
    CHECK((::fcntl(shared.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("a process without access logs has a writer that confirms reopens", "[log_writer]") {
    auto writer = LogWriter::start({});
    REQUIRE(writer);
    (*writer)->reopen({});
    await_reopens(**writer, 1);
    CHECK((*writer)->files() == 0);
}
