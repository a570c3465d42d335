#include "worker/jobs/store_folder.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "ipc/unique_fd.h"

namespace worker::jobs {

ipc::Result<void> make_store_folder(const std::string& path, const std::string& user) {
    const auto folder = std::filesystem::path(path).parent_path();
    if (::geteuid() != 0 || folder.empty()) return {};
    const std::string name = user.empty() ? "www-data" : user;
    const passwd* entry = ::getpwnam(name.c_str());
    if (entry == nullptr) return ipc::failure("user " + name + " does not exist");
    std::error_code ignored;
    std::filesystem::create_directories(folder.parent_path(), ignored);  // what is wrong shows next
    if (::mkdir(folder.c_str(), 0700) < 0) {
        if (errno == EEXIST) return {};
        return ipc::system_error("create folder " + folder.string());
    }
    const ipc::UniqueFd made(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made || ::fchown(made.get(), entry->pw_uid, entry->pw_gid) < 0)
        return ipc::system_error("give folder " + folder.string() + " to " + name);
    return {};
}

}  // namespace worker::jobs
