// master/logs.cpp: all files are opened before any is exchanged.
#include "master/logs.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "ipc/channel.h"

namespace master {
namespace {

ipc::Result<ipc::UniqueFd> open_access_log(const std::string& path) {
    if (path != "stdout" && path != "stderr") return ipc::open_log_file(path);
    ipc::UniqueFd copy(::fcntl(path == "stdout" ? STDOUT_FILENO : STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!copy) return ipc::system_error("use " + path + " as an access log");
    return copy;
}

}  // namespace

ipc::Result<Logs> Logs::open(const conf::Reeve& reeve, const std::vector<std::string>& access_logs) {
    if (access_logs.size() + 1 > ipc::Channel::descriptors_max)
        return ipc::failure("more than " + std::to_string(ipc::Channel::descriptors_max - 1) +
                            " different access logs");
    Logs logs({.path = reeve.error_log.path,
               .level = static_cast<int>(reeve.error_log.level),
               .json = reeve.error_log_format == conf::LogFormat::json},
              access_logs);
    if (auto opened = logs.reopen(); !opened) return tl::make_unexpected(std::move(opened.error()));
    return logs;
}

ipc::Result<void> Logs::reopen() {
    std::vector<ipc::UniqueFd> access;
    for (const auto& path : paths_) {
        auto file = open_access_log(path);
        if (!file) return tl::make_unexpected(std::move(file.error()));
        access.push_back(std::move(*file));
    }
    auto error = ipc::open_log_file(plan_.path);
    if (!error) return tl::make_unexpected(std::move(error.error()));
    if (auto opened = ipc::open_log(plan_, "master", error->get()); !opened) return opened;
    access_ = std::move(access);
    error_ = std::move(*error);
    return {};
}

std::vector<int> Logs::descriptors() const {
    std::vector<int> all;
    for (const auto& file : access_) all.push_back(file.get());
    all.push_back(error_ ? error_.get() : STDERR_FILENO);
    return all;
}

}  // namespace master
