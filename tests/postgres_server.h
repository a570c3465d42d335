// tests/postgres_server.h: a real PostgreSQL in a folder of its own, which ends with the test.
#pragma once

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/conf/temporary_folder.h"

/// It does not run as root, and so root gives it to the user that Debian has for it. Its socket is open to
/// all.
class PostgresServer {
 public:
    PostgresServer() {
        ::chmod(folder_.path("").c_str(), 0755);
        for (const auto& made : {data(), socket_folder()}) make_its_own(made);
        const pid_t made = spawn({"initdb", "--no-sync", "--auth=trust", "--username=reeve",
                                  "--encoding=UTF8", "--locale=C", "-D", data()});
        if (wait_for(made) != 0) fail("initdb");
        start();
    }
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;
    ~PostgresServer() { stop(SIGQUIT); }

    /// Until it accepts.
    void start() {
        pid_ = spawn({"postgres", "-D", data(), "-c", "listen_addresses=", "-c",
                      "unix_socket_directories=" + folder_.path("socket"), "-c", "fsync=off", "-c",
                      "shared_buffers=32MB", "-c", "max_connections=40", "-c", "deadlock_timeout=200ms", "-c",
                      "log_min_messages=warning"});
        for (int tries = 0; tries < 600; ++tries) {
            if (PQping(url().c_str()) == PQPING_OK) return;
            if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
                pid_ = -1;
                fail("start of postgres");
            }
            ::poll(nullptr, 0, 50);
        }
        fail("postgres does not accept");
    }
    /// SIGINT: its connections end; SIGQUIT: as if it had crashed.
    void stop(int signal = SIGINT) {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        (void)wait_for(pid_);
        pid_ = -1;
    }
    [[nodiscard]] std::string socket_folder() const { return folder_.path("socket"); }
    [[nodiscard]] std::string url(const std::string& more = "") const {
        return url_at(socket_folder(), more);
    }
    [[nodiscard]] static std::string url_at(const std::string& folder, const std::string& more = "") {
        std::string host;
        for (const char c : folder) host += c == '/' ? std::string("%2F") : std::string(1, c);
        return "postgresql://reeve@/postgres?host=" + host + more;
    }

    /// The first value of the first row; empty: there is none.
    std::string ask(const std::string& statement) const {
        const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(url().c_str()), PQfinish);
        PQsetNoticeProcessor(
            connection.get(), [](void*, const char*) {}, nullptr);
        const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
            PQexec(connection.get(), statement.c_str()), PQclear);
        const auto status = PQresultStatus(result.get());
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
            throw std::runtime_error(statement + ": " + PQerrorMessage(connection.get()));
        return PQntuples(result.get()) == 0 ? std::string() : PQgetvalue(result.get(), 0, 0);
    }

 private:
    [[nodiscard]] std::string data() const { return folder_.path("data"); }
    [[noreturn]] void fail(const std::string& what) const {
        throw std::runtime_error(what + " failed; is postgresql installed? " + folder_.path("log"));
    }
    static int wait_for(pid_t pid) {
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    /// The newest that is installed.
    static std::string programs() {
        std::string newest;
        int number = 0;
        std::error_code none;
        for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none))
            if (const int found = std::atoi(version.path().filename().c_str()); found > number) {
                number = found;
                newest = version.path() / "bin";
            }
        return newest;
    }
    [[nodiscard]] pid_t spawn(std::vector<std::string> words) const {
        words[0] = programs() + "/" + words[0];
        std::vector<std::string> before{"setpriv", "--pdeathsig", "QUIT"};
        if (::getuid() == 0)
            before.insert(before.end(), {"--reuid=postgres", "--regid=postgres", "--clear-groups"});
        words.insert(words.begin(), before.begin(), before.end());
        std::vector<char*> arguments;
        for (auto& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 1, folder_.path("log").c_str(),
                                         O_WRONLY | O_CREAT | O_APPEND, 0644);
        posix_spawn_file_actions_adddup2(&files, 1, 2);
        pid_t pid = -1;
        const int failed = ::posix_spawnp(&pid, "setpriv", &files, nullptr, arguments.data(), environ);
        posix_spawn_file_actions_destroy(&files);
        if (failed != 0) fail("setpriv");
        return pid;
    }
    void make_its_own(const std::string& folder) const {
        std::filesystem::create_directory(folder);
        const passwd* user = ::getuid() == 0 ? ::getpwnam("postgres") : nullptr;
        if (user != nullptr && ::chown(folder.c_str(), user->pw_uid, user->pw_gid) < 0)
            fail("chown " + folder);
    }

    TemporaryFolder folder_;
    pid_t pid_ = -1;
};
