#include "worker/handler/mime.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "worker/http/host.h"

namespace worker::handler {
namespace {

struct Type {
    std::string_view extension, name;
};

constexpr std::string_view octets = "application/octet-stream";

/// By the type's kind for people; put in order for the search below.
constexpr auto types = [] {
    auto table = std::to_array<Type>({
        // text
        {"html", "text/html; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"shtml", "text/html; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"txt", "text/plain; charset=utf-8"},
        {"text", "text/plain; charset=utf-8"},
        {"log", "text/plain; charset=utf-8"},
        {"conf", "text/plain; charset=utf-8"},
        {"ini", "text/plain; charset=utf-8"},
        {"diff", "text/plain; charset=utf-8"},
        {"patch", "text/plain; charset=utf-8"},
        {"c", "text/plain; charset=utf-8"},
        {"cc", "text/plain; charset=utf-8"},
        {"cpp", "text/plain; charset=utf-8"},
        {"h", "text/plain; charset=utf-8"},
        {"hpp", "text/plain; charset=utf-8"},
        {"md", "text/markdown; charset=utf-8"},
        {"markdown", "text/markdown; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"tsv", "text/tab-separated-values; charset=utf-8"},
        {"ics", "text/calendar; charset=utf-8"},
        {"vcf", "text/vcard; charset=utf-8"},
        {"vtt", "text/vtt; charset=utf-8"},
        {"xml", "text/xml; charset=utf-8"},
        {"xsl", "text/xml; charset=utf-8"},
        {"yaml", "application/yaml; charset=utf-8"},
        {"yml", "application/yaml; charset=utf-8"},
        {"mathml", "text/mathml; charset=utf-8"},
        {"jad", "text/vnd.sun.j2me.app-descriptor; charset=utf-8"},
        // data that is read as text: JSON and its kin are UTF-8 by definition
        {"json", "application/json"},
        {"map", "application/json"},
        {"json5", "application/json5"},
        {"jsonld", "application/ld+json"},
        {"ndjson", "application/x-ndjson"},
        {"geojson", "application/geo+json"},
        {"webmanifest", "application/manifest+json"},
        {"atom", "application/atom+xml; charset=utf-8"},
        {"rss", "application/rss+xml; charset=utf-8"},
        {"xhtml", "application/xhtml+xml; charset=utf-8"},
        {"kml", "application/vnd.google-earth.kml+xml; charset=utf-8"},
        {"gpx", "application/gpx+xml; charset=utf-8"},
        {"toml", "application/toml; charset=utf-8"},
        {"rtf", "application/rtf"},
        // images
        {"gif", "image/gif"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"jfif", "image/jpeg"},
        {"png", "image/png"},
        {"apng", "image/apng"},
        {"svg", "image/svg+xml; charset=utf-8"},
        {"webp", "image/webp"},
        {"avif", "image/avif"},
        {"heic", "image/heic"},
        {"heif", "image/heif"},
        {"jxl", "image/jxl"},
        {"ico", "image/x-icon"},
        {"cur", "image/x-icon"},
        {"bmp", "image/bmp"},
        {"tif", "image/tiff"},
        {"tiff", "image/tiff"},
        {"wbmp", "image/vnd.wap.wbmp"},
        // sound
        {"mp3", "audio/mpeg"},
        {"m4a", "audio/mp4"},
        {"aac", "audio/aac"},
        {"oga", "audio/ogg"},
        {"ogg", "audio/ogg"},
        {"opus", "audio/ogg"},
        {"flac", "audio/flac"},
        {"wav", "audio/wav"},
        {"weba", "audio/webm"},
        {"mid", "audio/midi"},
        {"midi", "audio/midi"},
        {"m3u", "audio/mpegurl"},
        // moving pictures
        {"mp4", "video/mp4"},
        {"m4v", "video/mp4"},
        {"webm", "video/webm"},
        {"ogv", "video/ogg"},
        {"mpeg", "video/mpeg"},
        {"mpg", "video/mpeg"},
        {"mov", "video/quicktime"},
        {"avi", "video/x-msvideo"},
        {"wmv", "video/x-ms-wmv"},
        {"flv", "video/x-flv"},
        {"mkv", "video/matroska"},
        {"3gp", "video/3gpp"},
        {"ts", "video/mp2t"},
        {"m3u8", "application/vnd.apple.mpegurl"},
        {"mpd", "application/dash+xml; charset=utf-8"},
        // fonts
        {"woff", "font/woff"},
        {"woff2", "font/woff2"},
        {"ttf", "font/ttf"},
        {"otf", "font/otf"},
        {"ttc", "font/collection"},
        {"eot", "application/vnd.ms-fontobject"},
        // documents
        {"pdf", "application/pdf"},
        {"ps", "application/postscript"},
        {"eps", "application/postscript"},
        {"epub", "application/epub+zip"},
        {"doc", "application/msword"},
        {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
        {"xls", "application/vnd.ms-excel"},
        {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
        {"ppt", "application/vnd.ms-powerpoint"},
        {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
        {"odt", "application/vnd.oasis.opendocument.text"},
        {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
        {"odp", "application/vnd.oasis.opendocument.presentation"},
        {"odg", "application/vnd.oasis.opendocument.graphics"},
        {"kmz", "application/vnd.google-earth.kmz"},
        // archives and programs
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"tgz", "application/gzip"},
        {"bz2", "application/x-bzip2"},
        {"xz", "application/x-xz"},
        {"zst", "application/zstd"},
        {"tar", "application/x-tar"},
        {"7z", "application/x-7z-compressed"},
        {"rar", "application/vnd.rar"},
        {"jar", "application/java-archive"},
        {"war", "application/java-archive"},
        {"deb", "application/vnd.debian.binary-package"},
        {"rpm", "application/x-rpm"},
        {"apk", "application/vnd.android.package-archive"},
        {"wasm", "application/wasm"},
        {"swf", "application/x-shockwave-flash"},
        {"torrent", "application/x-bittorrent"},
        {"pem", "application/x-x509-ca-cert"},
        {"crt", "application/x-x509-ca-cert"},
        {"der", "application/x-x509-ca-cert"},
        {"bin", octets},
        {"exe", octets},
        {"iso", octets},
        {"img", octets},
        {"dmg", octets},
    });
    std::sort(table.begin(), table.end(),
              [](const Type& a, const Type& b) { return a.extension < b.extension; });
    return table;
}();

static_assert(std::adjacent_find(types.begin(), types.end(), [](const Type& a, const Type& b) {
                  return a.extension == b.extension;
              }) == types.end());

constexpr std::size_t extension_max = 16;
static_assert(std::all_of(types.begin(), types.end(),
                          [](const Type& type) { return type.extension.size() <= extension_max; }));

/// After the last dot; empty when there is none, or only the one that a dot-file begins with.
std::string_view extension_of(std::string_view file_name) {
    file_name.remove_prefix(file_name.rfind('/') + 1);  // npos + 1 is 0
    const std::size_t dot = file_name.rfind('.');
    return dot == file_name.npos || dot == 0 ? std::string_view() : file_name.substr(dot + 1);
}

}  // namespace

std::string_view mime_type(std::string_view file_name) {
    const std::string_view extension = extension_of(file_name);
    if (extension.size() > extension_max) return octets;
    char text[extension_max];
    const std::string_view wanted = http::lower(extension, text);

    const auto found =
        std::lower_bound(types.begin(), types.end(), wanted,
                         [](const Type& type, std::string_view name) { return type.extension < name; });
    return found != types.end() && found->extension == wanted ? found->name : octets;
}

}  // namespace worker::handler
