#include "worker/handler/file_response.h"

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <utility>

#include "worker/handler/conditional.h"
#include "worker/http/date.h"

namespace worker::handler {
namespace {

using http::Known;

/// The texts between the parts of a multipart answer, held until they are sent.
struct PartTexts final : connection::Shared {
    std::vector<std::string> texts;
};

std::optional<std::string_view> present(const http::Request& request, Known name) {
    if (!request.has(name)) return std::nullopt;
    return request.value(name);
}

std::optional<std::string_view> all_of(const http::Request& request, Known name, std::string& room) {
    if (!request.has(name)) return std::nullopt;
    return request.joined(name, room);
}

}  // namespace

void FileResponse::answer(http::Exchange& exchange, const Resource& resource) {
    http::Coding coding = http::Coding::identity;
    if (!resource.available.only_identity())
        coding =
            http::choose(exchange.request.joined(Known::accept_encoding, exchange.room), resource.available);
    const Representation& found = resource.in(coding);

    if (exchange.error == 0) {
        if (refused_by_conditions(exchange, found)) return;
        if (exchange.request.has(Known::range) && answered_by_ranges(exchange, found)) return;
    }
    http::Response& response = exchange.response;
    response.status = 200;
    response.fields = found.fields;
    if (exchange.error == 0) add_expires(response);
    response.add(found.file->chunk(0, found.file->size()));
    exchange.finish();
}

/// 304 and 412; most requests have no conditions.
bool FileResponse::refused_by_conditions(http::Exchange& exchange, const Representation& found) {
    const http::Request& request = exchange.request;
    std::string match_room, none_match_room;
    Conditions conditions;
    conditions.if_match = all_of(request, Known::if_match, match_room);
    conditions.if_none_match = all_of(request, Known::if_none_match, none_match_room);
    conditions.if_modified_since = present(request, Known::if_modified_since);
    conditions.if_unmodified_since = present(request, Known::if_unmodified_since);
    if (!conditions.any()) return false;

    const Validators validators{found.etag, false, found.file->modified(), clock_.unix_seconds()};
    switch (evaluate(conditions, validators, true)) {
        case Verdict::proceed: return false;
        case Verdict::not_modified:
            exchange.response.status = 304;
            exchange.response.fields = found.lasting_fields();
            add_expires(exchange.response);
            exchange.finish();
            return true;
        case Verdict::precondition_failed: exchange.refuse(412); return true;
    }
    return false;
}

/// 206 and 416; RFC 9110 14.2 defines Range for GET alone.
bool FileResponse::answered_by_ranges(http::Exchange& exchange, const Representation& found) {
    const http::Request& request = exchange.request;
    if (!request.is_get()) return false;
    if (request.has(Known::if_range)) {
        const Validators validators{found.etag, false, found.file->modified(), clock_.unix_seconds()};
        if (!if_range_holds(request.value(Known::if_range), validators)) return false;
    }
    const std::uint64_t size = found.file->size();
    http::Response& response = exchange.response;
    switch (parse_range(request.value(Known::range), size, ranges_)) {
        case RangeVerdict::whole: return false;
        case RangeVerdict::unsatisfiable:
            response.add_field("Content-Range", fmt::format("bytes */{}", size));
            exchange.refuse(416);
            return true;
        case RangeVerdict::partial: break;
    }
    response.status = 206;
    if (ranges_.size() == 1) {
        const ByteRange& range = ranges_.front();
        response.fields = found.fields;
        fmt::format_to(std::back_inserter(response.more_fields), "Content-Range: bytes {}-{}/{}\r\n",
                       range.first, range.last, size);
        response.add(found.file->chunk(range.first, range.size()));
    } else {
        answer_parts(response, found);
    }
    add_expires(response);
    exchange.finish();
    return true;
}

/// multipart/byteranges, RFC 9110 14.6. The boundary need not be secret, only absent from the file, so it
/// carries the version of the file, which no file can foresee, and a count.
void FileResponse::answer_parts(http::Response& response, const Representation& found) {
    const std::string_view type = std::string_view(found.fields).substr(0, found.fields.find("\r\n"));
    const std::string_view tag = std::string_view(found.etag).substr(1, found.etag.size() - 2);
    const std::string boundary = fmt::format("reeve-{}-{:08x}", tag, ++next_boundary_);
    const std::uint64_t size = found.file->size();

    const connection::Ref<PartTexts> kept(new PartTexts);
    for (const ByteRange& range : ranges_)
        kept->texts.push_back(fmt::format("\r\n--{}\r\n{}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n", boundary,
                                          type, range.first, range.last, size));
    kept->texts.push_back(fmt::format("\r\n--{}--\r\n", boundary));
    const auto add_text = [&](const std::string& text) {
        response.add({kept, text.data(), -1, 0, text.size()});
    };
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
        add_text(kept->texts[i]);
        response.add(found.file->chunk(ranges_[i].first, ranges_[i].size()));
    }
    add_text(kept->texts.back());

    response.add_field("Content-Type", "multipart/byteranges; boundary=" + boundary);
    const std::string_view coded = std::string_view(found.fields).substr(type.size() + 2);
    response.fields = coded;  // everything but the type of the whole
}

void FileResponse::add_expires(http::Response& response) const {
    if (!files_.expires || !files_.cache_control.empty()) return;
    char date[29];
    http::format_date(clock_.unix_seconds() + files_.expires->count() / 1000, date);
    response.add_field("Expires", std::string_view(date, sizeof date));
}

}  // namespace worker::handler
