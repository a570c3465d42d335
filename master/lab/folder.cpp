#include "master/lab/folder.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

namespace master::lab {

ipc::Result<Folder> Folder::make() {
    std::error_code wrong;
    std::string path = (std::filesystem::temp_directory_path(wrong) / "reeve-lab-XXXXXX").string();
    if (wrong) return tl::make_unexpected(ipc::Error{"the folder for temporary files", wrong});
    if (::mkdtemp(path.data()) == nullptr) return ipc::system_error("mkdtemp " + path);
    return Folder(std::move(path));
}

Folder::~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace master::lab
