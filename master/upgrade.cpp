// master/upgrade.cpp: fork, exec, and a pipe on which the new master says how its start went.
#include "master/upgrade.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include "master/daemon.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t told_bytes_max = 4096;

bool is_program(const std::string& path) {
    std::error_code ignored;
    return ::access(path.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(path, ignored);
}

/// In the child: becomes the program, or tells on `report` why not.
int become(const Program& program, const std::vector<int>& kept, int handover, int report,
           const std::vector<std::string>& environment) {
    for (const int fd : kept)
        if (::fcntl(fd, F_SETFD, 0) < 0) return 127;
    if (::fcntl(handover, F_SETFD, 0) < 0) return 127;
    ::setenv(handover_variable, std::to_string(handover).c_str(), 1);
    for (const auto& variable : environment)
        if (const auto end = variable.find('='); end != std::string::npos)
            ::setenv(variable.substr(0, end).c_str(), variable.c_str() + end + 1, 1);
    std::vector<char*> words;
    for (const auto& word : program.arguments) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::execv(program.path.c_str(), words.data());
    const auto why =
        ipc::Error{"execute " + program.path, std::error_code(errno, std::generic_category())}.text();
    return ::write(report, why.data(), why.size()) < 0 ? 127 : 126;
}

}  // namespace

ipc::Result<Program> Program::find(const std::string& name) {
    std::error_code failed;
    if (name.find('/') != std::string::npos) {  // a link stays a link: it may mean another file then
        const auto path = std::filesystem::absolute(name, failed).lexically_normal().string();
        if (!failed && is_program(path)) return Program{path, {}};
    } else if (const char* folders = ::getenv("PATH")) {
        std::string_view left(folders);
        while (!left.empty()) {
            const auto folder = left.substr(0, left.find(':'));
            left.remove_prefix(std::min(left.size(), folder.size() + 1));
            const auto path = std::string(folder) + "/" + name;
            if (!folder.empty() && folder.front() == '/' && is_program(path)) return Program{path, {}};
        }
    }
    const auto path = std::filesystem::read_symlink("/proc/self/exe", failed).string();
    if (failed || path.empty()) return ipc::failure("the program's own file is not to be found");
    return Program{path, {}};
}

Upgrade::Upgrade(event_base& loop, OnHeirEnd on_heir_end)
    : loop_(loop),
      on_heir_end_(std::move(on_heir_end)),
      late_(ipc::Event::timer<&Upgrade::on_late>(this, loop)) {}

Upgrade::~Upgrade() {
    if (!heir_) child_.signal(SIGKILL);
}

void Upgrade::begin(const Program& program, Offer offer, milliseconds limit,
                    const std::vector<std::string>& environment, Done done) {
    done_ = std::move(done);
    told_.clear();
    failure_.clear();
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) < 0)
        return end(ipc::Error{"pipe", std::error_code(errno, std::generic_category())}.text());
    report_ = ipc::UniqueFd(ends[0]);
    const ipc::UniqueFd theirs(ends[1]);
    offer.report = theirs.get();
    const auto handover = write_handover(offer);
    if (!handover) return end(handover.error().text());
    auto kept = handover_descriptors(offer);
    auto all = kept;
    all.push_back(handover->get());
    auto child = Child::fork(
        std::move(all), [&] { return become(program, kept, handover->get(), offer.report, environment); });
    if (!child) return end(child.error().text());
    child_ = std::move(*child);
    spdlog::info("upgrade started pid={} program={:?}", child_.pid(), program.path);
    readable_ = ipc::Event::calling<&Upgrade::on_report>(this, loop_, report_.get(), EV_READ | EV_PERSIST);
    readable_.arm();
    ended_ = ipc::Event::calling<&Upgrade::on_exit>(this, loop_, child_.fd(), EV_READ);
    ended_.arm();
    late_.arm(limit);
}

void Upgrade::cancel(const std::string& why) {
    if (!starting()) return;
    on_report(EV_READ);
    if (!starting()) return;
    failure_ = told_.empty() ? why : told_;
    readable_.disarm();  // too late to serve
    child_.signal(SIGKILL);
}

/// All that it has told so far.
void Upgrade::hear() {
    std::array<char, 512> bytes{};
    for (;;) {
        const auto size = ::read(report_.get(), bytes.data(), bytes.size());
        if (size == 0) readable_.disarm();
        if (size <= 0) return;
        if (told_.size() < told_bytes_max) told_.append(bytes.data(), static_cast<std::size_t>(size));
    }
}

void Upgrade::on_report(short) {
    hear();
    if (!told_.empty() && told_[0] == serves_report) {
        heir_ = true;
        return end({});
    }
    if (!readable_.armed()) child_.signal(SIGKILL);  // closed without that word: its end tells
}

void Upgrade::on_late(short) { cancel("the new master was not ready in time"); }

void Upgrade::on_exit(short) {
    const auto ending = child_.reap();
    if (!ending) return ended_.arm();
    if (std::exchange(heir_, false)) {
        spdlog::error("the new master is gone ending={:?}", ending->text());
        return on_heir_end_(*ending);
    }
    if (starting()) hear();  // its last words
    if (failure_.empty() && !told_.starts_with(serves_report)) failure_ = told_;
    end(failure_.empty() ? "the new master ended before it was ready: " + ending->text() : failure_);
}

void Upgrade::end(const std::string& why) {
    late_.disarm();
    readable_.disarm();
    report_.reset();
    const auto done = std::exchange(done_, nullptr);
    if (done) done(why, heir_ ? told_.substr(1) : std::string());
}

}  // namespace master
