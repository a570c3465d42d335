#include "worker/handler/autoindex.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "worker/handler/text_template.h"
#include "worker/http/date.h"

namespace worker::handler {
namespace {

constexpr std::size_t entries_max = 10'000;

struct Entry {
    std::string name;
    mode_t mode = 0;
    std::int64_t modified = 0;
    std::uint64_t size = 0;
};

struct Listing {
    std::vector<Entry> entries;
    bool cut = false;
};

Listing read(int folder, bool dotfiles) {
    Listing listing;
    // A description of its own: reading moves a position that others may share.
    const int own = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(own >= 0 ? ::fdopendir(own) : nullptr, &::closedir);
    if (!stream) return listing;
    while (const dirent* next = ::readdir(stream.get())) {
        const std::string_view name = next->d_name;
        if (name == "." || name == ".." || (!dotfiles && name.starts_with('.'))) continue;
        if (listing.entries.size() == entries_max) {
            listing.cut = true;
            break;
        }
        struct stat status {};
        if (::fstatat(::dirfd(stream.get()), next->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        listing.entries.push_back({std::string(name), status.st_mode, status.st_mtim.tv_sec,
                                   static_cast<std::uint64_t>(status.st_size)});
    }
    std::sort(listing.entries.begin(), listing.entries.end(), [](const Entry& a, const Entry& b) {
        return std::tuple(!S_ISDIR(a.mode), std::string_view(a.name)) <
               std::tuple(!S_ISDIR(b.mode), std::string_view(b.name));
    });
    return listing;
}

std::string date(std::int64_t seconds) {
    char text[29];
    http::format_date(seconds, text);
    return {text, sizeof text};
}

}  // namespace

std::string list_as_html(int folder, bool dotfiles, std::string_view path) {
    const Listing listing = read(folder, dotfiles);
    std::string title = "Index of ";
    append_escaped(title, path, Escape::html);
    std::string page =
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" + title +
        "</title>\n<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<style>:root{color-scheme:light dark}body{font:1rem/1.6 system-ui,sans-serif;margin:2rem auto;"
        "max-width:60rem;padding:0 "
        "1rem}td{padding-right:2rem}td+td{opacity:.7;white-space:nowrap}</style>\n<h1>" +
        title + "</h1>\n<table>\n";
    if (path != "/") page += "<tr><td><a href=\"../\">../</a></td></tr>\n";
    for (const Entry& entry : listing.entries) {
        const std::string_view slash = S_ISDIR(entry.mode) ? "/" : "";
        page += "<tr><td><a href=\"./";  // "./": a name may look like a scheme
        append_escaped(page, entry.name, Escape::uri);
        page.append(slash).append("\">");
        append_escaped(page, entry.name, Escape::html);
        page += fmt::format("{}</a></td><td>{}</td><td>{}</td></tr>\n", slash, date(entry.modified),
                            S_ISREG(entry.mode) ? std::to_string(entry.size) : "-");
    }
    page += "</table>\n";
    if (listing.cut) page += fmt::format("<p>Only {} entries are shown.</p>\n", entries_max);
    return page + "</html>\n";
}

std::string list_as_json(int folder, bool dotfiles) {
    nlohmann::json list = nlohmann::json::array();
    for (const Entry& entry : read(folder, dotfiles).entries) {
        nlohmann::json item;
        item["name"] = entry.name;
        item["mtime"] = date(entry.modified);
        if (S_ISREG(entry.mode)) item["size"] = entry.size;
        item["type"] = S_ISDIR(entry.mode) ? "directory" : S_ISREG(entry.mode) ? "file" : "other";
        list.push_back(std::move(item));
    }
    return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace worker::handler
