// ipc/file.cpp: pread until the size is there.
#include "ipc/file.h"

#include <sys/stat.h>
#include <unistd.h>

namespace ipc {

Result<std::string> read_file(int file) {
    struct stat size {};
    if (::fstat(file, &size) < 0) return system_error("look at a file");
    if (size.st_size < 0 || static_cast<std::size_t>(size.st_size) > file_bytes_max)
        return failure("a file is too long");
    std::string text(static_cast<std::size_t>(size.st_size), '\0');
    for (std::size_t got = 0; got < text.size();) {
        const auto more = ::pread(file, text.data() + got, text.size() - got, static_cast<off_t>(got));
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return system_error("read a file");
        if (more == 0) return failure("a file has become shorter");
        got += static_cast<std::size_t>(more);
    }
    return text;
}

}  // namespace ipc
