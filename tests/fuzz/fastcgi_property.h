// tests/fuzz/fastcgi_property.h: what holds for records, whatever the bytes and however they arrive.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/fuzz/property.h"
#include "worker/http/fastcgi.h"

namespace fuzz {

struct Records {
    std::vector<std::tuple<worker::http::fastcgi::Type, std::uint16_t, std::string, bool>> all;
    bool refused = false, between = false;
    bool operator==(const Records&) const = default;
};

/// The pieces of one record are put together.
inline Records read_records(std::string_view bytes, std::size_t step) {
    using namespace worker::http::fastcgi;
    Records records;
    RecordReader reader;
    const char* last_end = nullptr;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        std::string_view part = bytes.substr(at, step);
        for (;;) {
            const std::size_t before = part.size();
            const auto found = reader.next(part);
            require(part.size() <= before);
            if (found == RecordReader::Found::refused) {
                records.refused = true;
                return records;
            }
            if (found == RecordReader::Found::more) {
                require(part.empty());
                break;
            }
            const Piece& piece = reader.piece();
            require(piece.content.size() <= content_max && (!piece.ends_stream || piece.content.empty()));
            const bool goes_on = last_end != nullptr && piece.content.data() == last_end &&
                                 !records.all.empty() && std::get<0>(records.all.back()) == piece.type;
            if (goes_on) {
                std::get<2>(records.all.back()) += piece.content;
            } else {
                records.all.emplace_back(piece.type, piece.request, std::string(piece.content),
                                         piece.ends_stream);
            }
            last_end = piece.content.data() + piece.content.size();
        }
    }
    records.between = reader.between_records();
    return records;
}

/// However the bytes are cut, they are the same records; what is written is read back; and the content of any
/// is a list of params, or not.
inline void check_fastcgi(std::string_view bytes) {
    using namespace worker::http::fastcgi;
    const Records whole = read_records(bytes, std::max<std::size_t>(bytes.size(), 1));
    for (const std::size_t step : {1u, 2u, 3u, 7u, 8u, 64u}) require(read_records(bytes, step) == whole);

    std::string written;
    for (const auto& [type, request, content, ends] : whole.all)
        append_record(written, type, request, content);
    const Records again = read_records(written, 5);
    require(again.all == whole.all && again.between && !again.refused);

    std::string_view rest = bytes;
    std::string params;
    while (const auto param = take_param(rest)) append_param(params, param->name, param->value);
    // Lengths may be written in more bytes than they need.
    require(params.size() <= bytes.size() - rest.size());
    std::string_view read_back = params;
    while (take_param(read_back)) {
    }
    require(read_back.empty());
    static_cast<void>(read_begin_request(bytes));
    static_cast<void>(read_end_request(bytes));
}

}  // namespace fuzz
