// master/logs.cpp: all files are opened before any is exchanged.
#include "master/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
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

/// Only of regular files: a name for a pipe or a terminal says nothing.
bool is_moved(const std::string& path, int file) {
    struct stat open_one {};
    struct stat named_one {};
    if (file < 0 || path == "stdout" || path == "stderr") return false;
    if (::fstat(file, &open_one) < 0 || !S_ISREG(open_one.st_mode)) return false;
    return ::stat(path.c_str(), &named_one) < 0 || named_one.st_dev != open_one.st_dev ||
           named_one.st_ino != open_one.st_ino;
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
    if (used_)
        if (auto opened = ipc::open_log(plan_, "master", error->get()); !opened) return opened;
    access_ = std::move(access);
    error_ = std::move(*error);
    return {};
}

ipc::Result<void> Logs::use() {
    if (auto opened = ipc::open_log(plan_, "master", error_.get()); !opened) return opened;
    used_ = true;
    return {};
}

void Logs::set_level(int level) {
    plan_.level = level;
    if (used_) ipc::set_log_level(level);
}

int Logs::error_descriptor() const noexcept { return error_ ? error_.get() : STDERR_FILENO; }

bool Logs::moved() const {
    for (std::size_t index = 0; index < paths_.size(); ++index)
        if (is_moved(paths_[index], access_[index].get())) return true;
    return is_moved(plan_.path, error_.get());
}

std::vector<int> Logs::descriptors() const {
    std::vector<int> all;
    for (const auto& file : access_) all.push_back(file.get());
    all.push_back(error_descriptor());
    return all;
}

}  // namespace master
