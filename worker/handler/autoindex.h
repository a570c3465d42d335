// worker/handler/autoindex.h: `autoindex`: what a folder holds, as a page or as JSON.
#pragma once

#include <string>
#include <string_view>

namespace worker::handler {

/// `folder` stays the caller's. Folders first, then files, by name; at most 10,000 entries are shown, and
/// the list says so. Entries that cannot be looked at are left out.
[[nodiscard]] std::string list_as_html(int folder, bool dotfiles, std::string_view path);

/// An array of {"name", "type": "directory"|"file"|"other", "mtime", "size"}; size for files alone.
[[nodiscard]] std::string list_as_json(int folder, bool dotfiles);

}  // namespace worker::handler
