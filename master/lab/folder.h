// master/lab/folder.h: where the lab has its files while it runs.
#pragma once

#include <string>
#include <utility>

#include "ipc/result.h"

namespace master::lab {

/// Made once, for all trials; everything in it is removed with it.
class Folder {
 public:
    [[nodiscard]] static ipc::Result<Folder> make();
    Folder(Folder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    Folder& operator=(Folder&&) = delete;
    ~Folder();
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
    explicit Folder(std::string path) noexcept : path_(std::move(path)) {}
    std::string path_;
};

}  // namespace master::lab
