#include "conf/document.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include "conf/ini_file.h"
#include "conf/words.h"

namespace conf {
namespace {

namespace fs = std::filesystem;

fs::path current_folder() {
    std::error_code failure;
    auto folder = fs::current_path(failure);
    return failure ? fs::path("/") : folder;
}

/// What the file system knows a file by, whatever name it was reached under.
using Identity = std::pair<dev_t, ino_t>;

struct Content {
    std::string bytes;
    Identity identity;
};

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

/// The whole file, or why it cannot be had.
Parsed<Content> read_file(const std::string& path) {
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
    if (!file) return tl::unexpected<std::string>(std::strerror(errno));
    struct stat status {};
    if (::fstat(::fileno(file.get()), &status) < 0) return tl::unexpected<std::string>(std::strerror(errno));
    Content content{{}, {status.st_dev, status.st_ino}};
    char chunk[16 * 1024];
    for (;;) {
        const auto got = std::fread(chunk, 1, sizeof chunk, file.get());
        content.bytes.append(chunk, got);
        if (std::ferror(file.get()) != 0) return tl::unexpected<std::string>(std::strerror(errno));
        if (content.bytes.size() > file_bytes_max)
            return tl::unexpected(fmt::format("is larger than {} bytes", file_bytes_max));
        if (got == 0) return content;
    }
}

bool is_pattern(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

/// Takes the meaning off the characters that glob(3) would see in a folder's name.
std::string literal(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::strchr("*?[]\\", c) != nullptr) out += '\\';
        out += c;
    }
    return out;
}

/// The files that match, sorted by their bytes.
std::vector<std::string> matches(const std::string& pattern) {
    glob_t found{};
    std::vector<std::string> files;
    if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
        files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    std::sort(files.begin(), files.end());
    return files;
}

/// One walk through a file and all it includes.
class Reading {
 public:
    explicit Reading(Report& report) : report_(report) {}

    void read_main(const std::string& path) {
        auto content = read_file(path);
        if (!content) {
            report_.refuse({report_.add_file(path), 0}, fmt::format("cannot be read: {}", content.error()));
            return;
        }
        seen_[content->identity] = {0, 0};
        add(content->bytes, path);
    }

    void read_text(std::string_view text, const std::string& name) {
        includes_ = false;
        add(text, name);
    }

    [[nodiscard]] Document take() { return std::move(document_); }

 private:
    void add(std::string_view text, const std::string& name) {
        const auto file = report_.add_file(name);
        const auto folder = fs::path(includes_ ? name : "").parent_path();
        document_.folders.push_back((current_folder() / folder).lexically_normal().string());

        auto ini = read_ini(text);
        for (auto& complaint : ini.complaints)
            report_.refuse({file, complaint.line}, std::move(complaint.message));
        for (const auto& setting : ini.top) {
            const Place place{file, setting.line};
            if (setting.key == "include")
                include(setting.value, place, folder);
            else
                report_.refuse(place,
                               fmt::format("{}: stands before any section; only `include` may", setting.key));
        }
        for (auto& section : ini.sections) add_section(std::move(section), file, folder);
    }

    void add_section(IniSection&& section, std::uint32_t file, const fs::path& folder) {
        std::vector<IniSetting> includes;
        Section added{std::move(section.kind), std::move(section.name), {file, section.line}, {}};
        for (auto& setting : section.settings) {
            if (setting.key == "include")
                includes.push_back(std::move(setting));
            else
                added.entries.push_back({std::move(setting.key),
                                         std::move(setting.value),
                                         {file, setting.line},
                                         setting.continued});
        }
        const bool allowed = added.kind == "reeve";
        document_.sections.push_back(std::move(added));
        for (const auto& setting : includes) {
            const Place place{file, setting.line};
            if (allowed)
                include(setting.value, place, folder);
            else
                report_.refuse(place, "include: may stand before any section or in [reeve]");
        }
    }

    void include(std::string_view value, Place place, const fs::path& folder) {
        if (!includes_) return report_.refuse(place, "include: only a file can include others");
        const auto words = split_words(value);
        if (!words) return report_.refuse(place, fmt::format("include: {}", words.error()));
        for (const auto& [pattern, quoted] : *words) include_one(pattern, place, folder);
    }

    void include_one(const std::string& pattern, Place place, const fs::path& folder) {
        const bool absolute = pattern.starts_with('/');
        if (!is_pattern(pattern))
            return include_file((absolute ? fs::path(pattern) : folder / pattern).string(), place);
        const auto prefix = absolute || folder.empty() ? std::string() : literal(folder.string()) + '/';
        for (const auto& file : matches(prefix + pattern)) include_file(file, place);
    }

    void include_file(const std::string& path, Place place) {
        if (depth_ == include_depth_max)
            return report_.refuse(place, fmt::format("include: more than {} files deep", include_depth_max));
        if (document_.folders.size() >= files_max)
            return report_.refuse(place, fmt::format("include: more than {} files", files_max));
        const auto content = read_file(path);
        if (!content)
            return report_.refuse(place,
                                  fmt::format("include: {} cannot be read: {}", path, content.error()));
        const auto [first, fresh] = seen_.try_emplace(content->identity, place);
        if (!fresh) {
            const auto why = first->second.line == 0
                                 ? std::string("is the main file, which leads here")
                                 : "is included already, at " + report_.refer(first->second, place);
            return report_.refuse(place, fmt::format("include: {} {}", path, why));
        }
        ++depth_;
        add(content->bytes, path);
        --depth_;
    }

    Report& report_;
    Document document_;
    std::map<Identity, Place> seen_;  ///< every file read, and where it was included
    unsigned depth_ = 0;
    bool includes_ = true;
};

}  // namespace

std::string Section::text() const {
    return name.empty() ? fmt::format("[{}]", kind) : fmt::format("[{} {}]", kind, name);
}

Document read_document(const std::string& path, Report& report) {
    Reading reading(report);
    reading.read_main(path);
    return reading.take();
}

Document read_document_text(std::string_view text, const std::string& name, Report& report) {
    Reading reading(report);
    reading.read_text(text, name);
    return reading.take();
}

}  // namespace conf
