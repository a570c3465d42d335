#include "worker/handler/scripts.h"

#include <algorithm>

#include "worker/handler/resolver.h"

namespace worker::handler {
namespace {

/// Names that begin with a dot are nobody's business, but for "/.well-known/" (RFC 8615).
bool has_hidden_name(std::string_view path) noexcept {
    constexpr std::string_view well_known = "/.well-known/";
    if (path.starts_with(well_known)) path.remove_prefix(well_known.size() - 1);
    return path.find("/.") != std::string_view::npos;
}

/// Not so of an error page that is elsewhere.
bool is_under(std::string_view path, std::string_view prefix) noexcept {
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

Scripts::Scripts(const conf::Route& route)
    : route_(route),
      root_(route.cgi.script_root, false),
      peer_root_(route.cgi.script_peer_root.empty() ? route.cgi.script_root : route.cgi.script_peer_root) {
    const bool counts = route.strip_prefix || route.cgi.script_root.empty();
    if (counts && route.path.kind == conf::PathMatch::Kind::prefix) prefix_ = route.path.text;
    if (prefix_.ends_with('/')) prefix_.pop_back();
    if (peer_root_.ends_with('/')) peer_root_.pop_back();
}

void Scripts::find(std::string_view path, Script& script) {
    if (route_.cgi.script_root.empty()) return find_program(path, script);
    root_.look_again();
    std::string_view under = path;
    if (is_under(path, prefix_)) under.remove_prefix(prefix_.size());
    script.name.assign(path.substr(0, path.size() - under.size()));
    if (under.empty()) under = "/";
    if (find_named(under, script) || find_index(under, script)) return;
    const std::string& fallback = route_.cgi.script_fallback;
    if (script.refusal != 404 || fallback.empty()) return;
    script.refusal = 0;
    if (look(fallback, script) == Found::file) {
        static_cast<void>(take(fallback, fallback.size(), script));
    } else if (script.refusal == 0) {
        script.refusal = 404;
    }
}

/// The program is behind the route's path, whatever follows is for it.
void Scripts::find_program(std::string_view path, Script& script) const {
    switch (route_.path.kind) {
        case conf::PathMatch::Kind::exact: script.name = path; return;
        case conf::PathMatch::Kind::prefix:
            if (!is_under(path, prefix_)) break;
            script.name = prefix_;
            script.info = path.substr(prefix_.size());
            return;
        case conf::PathMatch::Kind::regex: break;
    }
    script.info = path;
}

Scripts::Found Scripts::look(std::string_view path, Script& script) {
    if (has_hidden_name(path)) {
        script.refusal = 404;
        return Found::nothing;
    }
    const auto status = root_.look(path);
    if (!status) {
        script.refusal = status_of(status.error());
        return script.refusal == 404 ? Found::nothing : Found::refused;
    }
    if (S_ISREG(status->st_mode)) return Found::file;
    if (S_ISDIR(status->st_mode)) return Found::folder;
    script.refusal = 403;  // a device, a socket, a FIFO
    return Found::refused;
}

/// The first name in the path that is a script's, and is one. False: none is, and `script` says why.
bool Scripts::find_named(std::string_view under, Script& script) {
    for (std::size_t begin = 1; begin < under.size();) {
        const std::size_t end = std::min(under.find('/', begin), under.size());
        if (is_script(under.substr(begin, end - begin))) {
            switch (look(under.substr(0, end), script)) {
                case Found::file: return take(under, end, script);
                case Found::folder: break;  // that is named like a script
                case Found::nothing: return false;
                case Found::refused: return true;
            }
        }
        begin = end + 1;
    }
    script.refusal = 404;
    return false;
}

/// The script that stands for a folder. False: as above.
bool Scripts::find_index(std::string_view under, Script& script) {
    const std::string& index = route_.cgi.script_index;
    if (script.refusal != 404 || index.empty()) return false;
    const bool whole = under.ends_with('/');
    std::string there(under);
    if (!whole) {
        if (look(under, script) != Found::folder) return script.refusal != 404 && script.refusal != 0;
        there += '/';
    }
    there += index;
    if (look(there, script) != Found::file) {
        script.refusal = 404;
        return false;
    }
    if (!whole) {
        script.refusal = 301;
        return true;
    }
    return take(there, there.size(), script);
}

/// `under` up to `size` is the script. True.
bool Scripts::take(std::string_view under, std::size_t size, Script& script) const {
    script.refusal = 0;
    script.name.append(under.substr(0, size));
    script.info.assign(under.substr(size));
    script.file.assign(peer_root_).append(under.substr(0, size));
    return true;
}

/// A name that is all extension is no script's.
bool Scripts::is_script(std::string_view name) const noexcept {
    const auto& extensions = route_.cgi.script_extensions;
    return std::any_of(extensions.begin(), extensions.end(), [name](const std::string& extension) {
        return name.size() > extension.size() && name.ends_with(extension);
    });
}

}  // namespace worker::handler
