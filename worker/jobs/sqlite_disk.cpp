#include "worker/jobs/sqlite_disk.h"

#include <fmt/format.h>

#include <cstdlib>
#include <new>

namespace worker::jobs {

/// SQLite makes room for it, and for the system's own file right behind it.
struct SqliteDisk::File {
    sqlite3_file base;
    SqliteDisk* disk;
    const char* path;  ///< SQLite keeps it for as long as the file is open

    static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
    static sqlite3_file* under(sqlite3_file* file) {
        return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(File));
    }
    [[nodiscard]] std::string_view name() const { return path == nullptr ? "" : path; }
};

SqliteDisk::SqliteDisk(DiskWatch* watch)
    : watch_(watch),
      name_(fmt::format("reeve-{}", fmt::ptr(this))),
      under_(sqlite3_vfs_find(nullptr)),
      vfs_(*under_) {
    vfs_.iVersion = 2;  // no system calls to be overridden
    vfs_.szOsFile = under_->szOsFile + static_cast<int>(sizeof(File));
    vfs_.pNext = nullptr;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = this;
    vfs_.xOpen = &SqliteDisk::open;
    // whatever is about names and not about files is the system's, which finds its own data where it looks
    vfs_.xDelete = [](sqlite3_vfs* vfs, const char* path, int sync_folder) {
        const auto& own = *static_cast<SqliteDisk*>(vfs->pAppData);
        if (own.watch_ != nullptr) {
            if (const int code = own.watch_->remove(path); code != SQLITE_OK) return code;
        }
        return own.under_->xDelete(own.under_, path, sync_folder);
    };
    vfs_.xAccess = [](sqlite3_vfs* vfs, const char* path, int flags, int* result) {
        sqlite3_vfs* under = static_cast<SqliteDisk*>(vfs->pAppData)->under_;
        return under->xAccess(under, path, flags, result);
    };
    vfs_.xFullPathname = [](sqlite3_vfs* vfs, const char* path, int size, char* full) {
        sqlite3_vfs* under = static_cast<SqliteDisk*>(vfs->pAppData)->under_;
        return under->xFullPathname(under, path, size, full);
    };
    if (sqlite3_vfs_register(&vfs_, 0) != SQLITE_OK) std::abort();  // only without memory
}

SqliteDisk::~SqliteDisk() { sqlite3_vfs_unregister(&vfs_); }

int SqliteDisk::open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    auto* disk = static_cast<SqliteDisk*>(vfs->pAppData);
    auto* made = new (file) File{{nullptr}, disk, path};
    const int code = disk->under_->xOpen(disk->under_, path, File::under(file), flags, out_flags);
    if (code == SQLITE_OK) made->base.pMethods = methods();
    return code;
}

int SqliteDisk::write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
    const File& own = File::of(file);
    if (own.disk->watch_ != nullptr) {
        const std::string_view data(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
        if (const int code = own.disk->watch_->write(own.name(), offset, data); code != SQLITE_OK)
            return code;
    }
    sqlite3_file* under = File::under(file);
    return under->pMethods->xWrite(under, bytes, size, offset);
}

int SqliteDisk::truncate(sqlite3_file* file, sqlite3_int64 size) {
    const File& own = File::of(file);
    if (own.disk->watch_ != nullptr) {
        if (const int code = own.disk->watch_->truncate(own.name(), size); code != SQLITE_OK) return code;
    }
    sqlite3_file* under = File::under(file);
    return under->pMethods->xTruncate(under, size);
}

int SqliteDisk::sync(sqlite3_file* file, int flags) {
    const File& own = File::of(file);
    ++own.disk->syncs_;
    if (own.disk->watch_ != nullptr) {
        if (const int code = own.disk->watch_->sync(own.name()); code != SQLITE_OK) return code;
    }
    sqlite3_file* under = File::under(file);
    return under->pMethods->xSync(under, flags);
}

const sqlite3_io_methods* SqliteDisk::methods() {
    static constexpr sqlite3_io_methods own = {
        .iVersion = 1,  // neither shared memory nor mapped files
        .xClose =
            [](sqlite3_file* file) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xClose(under);
            },
        .xRead =
            [](sqlite3_file* file, void* bytes, int size, sqlite3_int64 offset) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xRead(under, bytes, size, offset);
            },
        .xWrite = &SqliteDisk::write,
        .xTruncate = &SqliteDisk::truncate,
        .xSync = &SqliteDisk::sync,
        .xFileSize =
            [](sqlite3_file* file, sqlite3_int64* size) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xFileSize(under, size);
            },
        .xLock =
            [](sqlite3_file* file, int level) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xLock(under, level);
            },
        .xUnlock =
            [](sqlite3_file* file, int level) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xUnlock(under, level);
            },
        .xCheckReservedLock =
            [](sqlite3_file* file, int* result) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xCheckReservedLock(under, result);
            },
        .xFileControl =
            [](sqlite3_file* file, int what, void* with) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xFileControl(under, what, with);
            },
        .xSectorSize =
            [](sqlite3_file* file) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xSectorSize(under);
            },
        .xDeviceCharacteristics =
            [](sqlite3_file* file) {
                sqlite3_file* under = File::under(file);
                return under->pMethods->xDeviceCharacteristics(under);
            },
        .xShmMap = nullptr,
        .xShmLock = nullptr,
        .xShmBarrier = nullptr,
        .xShmUnmap = nullptr,
        .xFetch = nullptr,
        .xUnfetch = nullptr,
    };
    return &own;
}

}  // namespace worker::jobs
