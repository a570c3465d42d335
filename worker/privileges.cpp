#include "worker/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

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

/// Not one is left, nor can any come back: neither by a program with more, nor by root.
ipc::Result<void> drop_capabilities() {
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        if (::prctl(PR_CAPBSET_DROP, capability) < 0 && errno != EPERM)  // only root may, and only root need
            return ipc::system_error("drop capabilities");
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return {};
}

ipc::Result<void> clear_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const std::array<__user_cap_data_struct, 2> none{};
    if (::syscall(SYS_capset, &header, none.data()) < 0) return ipc::system_error("clear capabilities");
    return {};
}

}  // namespace

ipc::Result<void> drop_privileges(const std::string& user, int master_pid) {
    if (auto dropped = drop_capabilities(); !dropped) return dropped;
    if (::geteuid() == 0) {
        if (auto became = become(user.empty() ? "www-data" : user); !became) return became;
        ::prctl(PR_SET_DUMPABLE, 1);  // the change of user took it: a crash should leave a core
    }
    if (auto cleared = clear_capabilities(); !cleared) return cleared;
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ipc::system_error("prctl no_new_privs");
    // Not earlier: a change of user clears it.
    if (::prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0) return ipc::system_error("prctl pdeathsig");
    if (::getppid() != master_pid) return ipc::failure("the master is gone");
    return {};
}

}  // namespace worker
