#include "worker/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace worker {
namespace {

ipc::Result<void> become(const std::string& user) {
    errno = 0;
    const passwd* entry = ::getpwnam(user.c_str());
    if (entry == nullptr) return ipc::failure("user " + user + " does not exist");
    if (::initgroups(user.c_str(), entry->pw_gid) != 0) return ipc::system_error("initgroups " + user);
    if (::setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0)
        return ipc::system_error("setgid " + user);
    if (::setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0)
        return ipc::system_error("setuid " + user);
    return {};
}

}  // namespace

ipc::Result<void> drop_privileges(const std::string& user, int master_pid) {
    if (::geteuid() == 0) {
        if (auto became = become(user.empty() ? "www-data" : user); !became) return became;
        ::prctl(PR_SET_DUMPABLE, 1);  // the change of user took it: a crash should leave a core
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ipc::system_error("prctl no_new_privs");
    // Not earlier: a change of user clears it.
    if (::prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0) return ipc::system_error("prctl pdeathsig");
    if (::getppid() != master_pid) return ipc::failure("the master is gone");
    return {};
}

}  // namespace worker
