// worker/jobs/sqlite_disk.h: between SQLite and the file system: counts syncs, and lets tests see and refuse
// I/O.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace worker::jobs {

/// Told of each change of a file before it happens; for tests. Answers SQLITE_OK, or the error that SQLite is
/// to see instead (SQLITE_FULL, SQLITE_IOERR_FSYNC); then it does not happen.
class DiskWatch {
 public:
    virtual ~DiskWatch() = default;
    virtual int write(std::string_view path, std::int64_t offset, std::string_view bytes) = 0;
    virtual int truncate(std::string_view path, std::int64_t size) = 0;
    virtual int sync(std::string_view path) = 0;
    virtual int remove(std::string_view path) = 0;
};

/// A virtual file system of SQLite's, on top of the system's own. It has no shared memory, so that a WAL
/// works in exclusive mode alone. Outlives the connections that name it; one thread.
class SqliteDisk {
 public:
    /// `watch` may be null, and outlives this.
    explicit SqliteDisk(DiskWatch* watch);
    SqliteDisk(const SqliteDisk&) = delete;
    SqliteDisk& operator=(const SqliteDisk&) = delete;
    ~SqliteDisk();

    [[nodiscard]] const char* name() const noexcept { return name_.c_str(); }
    [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }

 private:
    struct File;

    static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags);
    static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset);
    static int truncate(sqlite3_file* file, sqlite3_int64 size);
    static int sync(sqlite3_file* file, int flags);
    [[nodiscard]] static const sqlite3_io_methods* methods();

    DiskWatch* watch_;
    std::uint64_t syncs_ = 0;
    std::string name_;
    sqlite3_vfs* under_;
    sqlite3_vfs vfs_;
};

}  // namespace worker::jobs
