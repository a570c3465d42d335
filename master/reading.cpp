// master/reading.cpp: the child writes into two files in memory; the master reads them once it has left.
#include "master/reading.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "ipc/clock.h"
#include "ipc/file.h"

namespace master {
namespace {

using std::chrono::milliseconds;

ipc::Result<ipc::UniqueFd> memory_file(const char* name) {
    ipc::UniqueFd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) return ipc::system_error("make a file in memory");
    return file;
}

bool write_all(int file, std::string_view text) {
    while (!text.empty()) {
        const auto size = ::write(file, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
}

Found refused(std::string why) {
    Found found;
    found.errors.push_back(std::move(why));
    return found;
}

/// The child's whole life.
int tell(const ReadConfig& read, int report, int text) {
    const Read got = read();
    const nlohmann::json told{
        {"errors", got.errors}, {"advice", got.advice}, {"plan", encode_plan(got.plan)}};
    const auto line = told.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return write_all(report, line) && write_all(text, got.text) ? 0 : 1;
}

struct Started {
    ipc::UniqueFd report, text;
    Child child;
};

ipc::Result<Started> start(const ReadConfig& read) {
    auto report = memory_file("reeve-report");
    if (!report) return tl::make_unexpected(std::move(report.error()));
    auto text = memory_file("reeve-configuration");
    if (!text) return tl::make_unexpected(std::move(text.error()));
    auto child =
        Child::fork({report->get(), text->get()}, [&] { return tell(read, report->get(), text->get()); });
    if (!child) return tl::make_unexpected(std::move(child.error()));
    return Started{std::move(*report), std::move(*text), std::move(*child)};
}

ipc::Result<Found> understand(const Ending& ending, int report, ipc::UniqueFd text) {
    if (ending.signal != 0 || ending.status != 0)
        return ipc::failure("reading the configuration ended with " + ending.text());
    const auto told = ipc::read_file(report);
    if (!told) return tl::make_unexpected(told.error());
    const auto json = nlohmann::json::parse(*told, nullptr, false);
    if (!json.is_object()) return ipc::failure("the report on the configuration is broken");
    Found found;
    found.errors = json.value("errors", std::vector<std::string>{"no report"});
    found.advice = json.value("advice", std::vector<std::string>{});
    if (!found.errors.empty()) return found;
    auto plan = decode_plan(json.value("plan", std::string()));
    if (!plan) return tl::make_unexpected(std::move(plan.error()));
    found.plan = std::move(*plan);
    if (::fcntl(text.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return ipc::system_error("seal the configuration");
    found.text = std::move(text);
    return found;
}

Found understood(const Ending& ending, int report, ipc::UniqueFd text) {
    auto found = understand(ending, report, std::move(text));
    return found ? std::move(*found) : refused(found.error().text());
}

}  // namespace

Found Reading::now(const ReadConfig& read, milliseconds limit) {
    auto started = start(read);
    if (!started) return refused(started.error().text());
    const auto late = ipc::monotonic_ms() + static_cast<std::uint64_t>(limit.count());
    for (;;) {
        if (const auto ending = started->child.reap())
            return understood(*ending, started->report.get(), std::move(started->text));
        const auto now = ipc::monotonic_ms();
        if (now >= late) started->child.signal(SIGKILL);
        pollfd waiting{.fd = started->child.fd(), .events = POLLIN, .revents = 0};
        const auto left = now >= late ? 1000 : std::min<std::uint64_t>(late - now, 1000);
        ::poll(&waiting, 1, static_cast<int>(left));
    }
}

Reading::Reading(event_base& loop, const ReadConfig& read, milliseconds limit, Done done)
    : done_(std::move(done)), late_(ipc::Event::timer<&Reading::on_late>(this, loop)) {
    auto started = start(read);
    if (!started) {
        failure_ = started.error().text();
        late_.arm(milliseconds{0});  // the outcome comes from the loop, whatever it is
        return;
    }
    report_ = std::move(started->report);
    text_ = std::move(started->text);
    child_ = std::move(started->child);
    ended_ = ipc::Event::calling<&Reading::on_exit>(this, loop, child_.fd(), EV_READ);
    ended_.arm();
    late_.arm(limit);
}

Reading::~Reading() {
    if (!child_) return;
    child_.signal(SIGKILL);
    ended_.disarm();
    while (!child_.reap()) {  // it is as good as dead
        pollfd waiting{.fd = child_.fd(), .events = POLLIN, .revents = 0};
        ::poll(&waiting, 1, 1000);
    }
}

void Reading::on_exit(short) {
    const auto ending = child_.reap();
    if (!ending) return ended_.arm();
    end(understood(*ending, report_.get(), std::move(text_)));
}

void Reading::on_late(short) {
    if (!child_) return end(refused(failure_));
    child_.signal(SIGKILL);  // on_exit follows
}

void Reading::end(Found found) {
    late_.disarm();
    const auto done = std::move(done_);
    done(std::move(found));  // may end us
}

}  // namespace master
