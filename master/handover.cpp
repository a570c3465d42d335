// master/handover.cpp: descriptors by number, all that belongs to them in JSON.
#include "master/handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "conf/units.h"
#include "ipc/file.h"
#include "master/daemon.h"

namespace master {
namespace {

using Json = nlohmann::json;

Json listener_json(const Listeners::Entry& entry) {
    const auto& listener = *entry.listener;
    const auto& address = listener.requested();
    Json sockets = Json::array();
    // In the order of the kernel's group, and which slot has which: the next master steers as we did.
    for (const auto& socket : listener.group()) {
        int slot = -1;
        for (std::size_t index = 0; index < entry.sockets.size(); ++index)
            if (entry.sockets[index] == socket) slot = static_cast<int>(index);
        sockets.push_back({{"fd", socket->fd.get()},
                           {"slot", slot},
                           {"blocking", socket->blocking},
                           {"backlog", socket->backlog}});
    }
    return {{"family", static_cast<int>(address.family)},
            {"host", address.host},
            {"port", address.port},
            {"single", listener.single()},
            {"sockets", std::move(sockets)}};
}

/// Owned and close-on-exec from now on; none when nothing is open there.
ipc::UniqueFd take(const Json& number) {
    if (!number.is_number_integer()) return {};
    const int fd = number.get<int>();
    if (fd <= STDERR_FILENO || ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return {};
    return ipc::UniqueFd(fd);
}

ipc::Result<Listeners::Entry> take_listener(const Json& json) {
    conf::Listen plan;
    plan.address.family = static_cast<conf::Address::Family>(json.value("family", 0));
    plan.address.host = json.value("host", std::string());
    plan.address.port = json.value("port", std::uint16_t{0});
    const bool single = json.value("single", false);
    std::vector<SocketPtr> group;
    std::vector<std::pair<int, SocketPtr>> seats;
    for (const auto& each : json.value("sockets", Json::array())) {
        auto fd = take(each.value("fd", Json()));
        if (!fd) return ipc::failure("a socket of " + plan.address.text() + " was not handed over");
        auto socket = std::make_shared<ListenSocket>(
            ListenSocket{std::move(fd), each.value("blocking", false), each.value("backlog", 1u)});
        if (const int slot = each.value("slot", -1); slot >= 0) seats.emplace_back(slot, socket);
        group.push_back(std::move(socket));
    }
    std::optional<UnixSocket> file;
    if (plan.address.family == conf::Address::Family::unix_path)
        if (auto adopted = UnixSocket::adopt(ipc::UniqueFd(), plan.address.host)) file = std::move(*adopted);
    std::sort(seats.begin(), seats.end(),
              [](const auto& one, const auto& other) { return one.first < other.first; });
    Layout layout;
    for (auto& seat : seats) layout.push_back(std::move(seat.second));
    auto listener = Listener::inherit(plan.address, std::move(group), std::move(file), single);
    return Listeners::Entry{std::move(listener), std::move(plan), std::move(layout), false};
}

ipc::Result<Json> read_offer(int file) {
    const auto text = ipc::read_file(file);
    if (!text) return tl::make_unexpected(text.error());
    auto json = Json::parse(*text, nullptr, false);
    if (!json.is_object()) return ipc::failure("the handover is not understood");
    return json;
}

ipc::Result<Inheritance> understand(const Json& json) {
    if (const int layout = json.value("layout", handover_layout); layout != handover_layout)
        return ipc::failure(
            fmt::format("the handover is of layout {}, and this program knows {}", layout, handover_layout));
    Inheritance got;
    got.pid = json.value("pid", 0);
    got.generation = json.value("generation", 0u);
    got.started_ms = json.value("started_ms", std::uint64_t{0});
    std::vector<Listeners::Entry> entries;
    for (const auto& each : json.value("listeners", Json::array())) {
        auto entry = take_listener(each);
        if (!entry) return tl::make_unexpected(std::move(entry.error()));
        entries.push_back(std::move(*entry));
    }
    got.listeners = Listeners(std::move(entries));
    if (auto board = take(json.value("board", Json())))
        if (auto adopted = ipc::Scoreboard::adopt(std::move(board))) got.board = std::move(*adopted);
    if (auto file = take(json.value("pid_file", Json())))
        got.pid_file.emplace(PidFile::adopt(std::move(file), json.value("pid_file_path", std::string())));
    auto keeper_listener = take(json.value("keeper_listener", Json()));
    auto keeper_address = take(json.value("keeper_address", Json()));
    if (keeper_listener && keeper_address)
        got.keeper_socket.emplace(std::move(keeper_listener), std::move(keeper_address));
    got.control_path = json.value("control_path", std::string());
    if (auto socket = take(json.value("control", Json())))
        if (auto adopted = UnixSocket::adopt(std::move(socket), got.control_path))
            got.control = std::move(*adopted);
    return got;
}

}  // namespace

ipc::Result<ipc::UniqueFd> write_handover(const Offer& offer) {
    Json json{{"version", REEVE_VERSION},
              {"layout", handover_layout},
              {"pid", ::getpid()},
              {"generation", offer.generation},
              {"started_ms", offer.started_ms},
              {"board", offer.board},
              {"pid_file", offer.pid_file},
              {"pid_file_path", offer.pid_file_path},
              {"control", offer.control},
              {"control_path", offer.control_path},
              {"keeper_listener", offer.keeper_listener},
              {"keeper_address", offer.keeper_address},
              {"report", offer.report},
              {"listeners", Json::array()}};
    for (const auto& entry : offer.listeners->all()) json["listeners"].push_back(listener_json(entry));
    const auto text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    ipc::UniqueFd file(::memfd_create("reeve-handover", MFD_CLOEXEC));
    if (!file) return ipc::system_error("make the handover");
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return ipc::system_error("write the handover");
    return file;
}

std::vector<int> handover_descriptors(const Offer& offer) {
    std::vector<int> all;
    for (const int fd : {offer.board, offer.pid_file, offer.control, offer.keeper_listener,
                         offer.keeper_address, offer.report})
        if (fd >= 0) all.push_back(fd);
    for (const auto& entry : offer.listeners->all())
        for (const auto& socket : entry.listener->group()) all.push_back(socket->fd.get());
    return all;
}

ipc::Result<std::optional<Inheritance>> receive_handover() {
    const char* named = ::getenv(handover_variable);
    if (named == nullptr) return std::nullopt;
    const auto number = conf::parse_number(named, 0, 1u << 20);
    ::unsetenv(handover_variable);
    const auto file = number ? take(Json(static_cast<int>(*number))) : ipc::UniqueFd();
    if (!file) return ipc::failure(std::string(handover_variable) + " names no open descriptor");
    const auto json = read_offer(file.get());
    if (!json) return tl::make_unexpected(json.error());
    auto report = take(json->value("report", Json()));
    auto got = [&]() -> ipc::Result<Inheritance> {
        try {
            return understand(*json);
        } catch (const Json::exception& wrong) {
            return ipc::failure(std::string("the handover is not understood: ") + wrong.what());
        }
    }();
    if (!got) {
        if (report) StartReport(std::move(report)).failed(got.error().text());
        return tl::make_unexpected(std::move(got.error()));
    }
    got->report = std::move(report);
    return std::optional<Inheritance>(std::move(*got));
}

}  // namespace master
