// worker/handler/scripts.h: which script a path means, and what of the path is its own business (RFC
// 3875 4.1.5, 4.1.13).
#pragma once

#include <string>
#include <string_view>

#include "conf/config.h"
#include "worker/handler/file_root.h"
#include "worker/http/status.h"

namespace worker::handler {

/// What a path came to.
struct Script {
    http::Status refusal = 0;  ///< not 0: there is none; 301: the path lacks the last slash of a folder
    std::string name;          ///< SCRIPT_NAME: how the path begins
    std::string info;          ///< PATH_INFO: how it goes on; empty: there is none
    std::string file;          ///< SCRIPT_FILENAME, as the peer sees it; empty: the peer is the program

    void clear() noexcept {
        refusal = 0;
        name.clear();
        info.clear();
        file.clear();
    }
};

/// One route's. With a `script_root` a script is a regular file below it, whatever links there are: who could
/// put `/upload.jpg/x.php` into a path would else have a picture run. Blocks on metadata of files.
class Scripts {
 public:
    /// `route` must outlive it.
    explicit Scripts(const conf::Route& route);

    /// `path` is normalised; `script` is as new.
    void find(std::string_view path, Script& script);
    /// DOCUMENT_ROOT, as the peer sees it; empty: there is none.
    [[nodiscard]] const std::string& peer_root() const noexcept { return peer_root_; }

 private:
    enum class Found : std::uint8_t { file, folder, nothing, refused };

    void find_program(std::string_view path, Script& script) const;
    [[nodiscard]] Found look(std::string_view path, Script& script);
    [[nodiscard]] bool find_named(std::string_view under, Script& script);
    [[nodiscard]] bool find_index(std::string_view under, Script& script);
    [[nodiscard]] bool take(std::string_view under, std::size_t size, Script& script) const;
    [[nodiscard]] bool is_script(std::string_view name) const noexcept;

    const conf::Route& route_;
    FileRoot root_;
    std::string peer_root_;
    std::string prefix_;  ///< of the route, without its last slash; empty where it counts with the path
};

}  // namespace worker::handler
