#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "worker/http/fastcgi.h"

using namespace std::string_literals;
using namespace worker::http::fastcgi;

namespace {

/// What a reader told, streams put together again.
struct Told {
    Type type;
    std::uint16_t request;
    std::string content;
    bool ends_stream;
    bool operator==(const Told&) const = default;
};

struct Reading {
    std::vector<Told> told;
    bool refused = false, between = false;
};

Reading read(std::string_view bytes, std::size_t step) {
    Reading reading;
    RecordReader reader;
    for (std::size_t at = 0; at < bytes.size() && !reading.refused; at += step) {
        std::string_view part = bytes.substr(at, step);
        for (;;) {
            const auto found = reader.next(part);
            if (found == RecordReader::Found::more) break;
            if (found == RecordReader::Found::refused) {
                reading.refused = true;
                break;
            }
            const Piece& piece = reader.piece();
            auto& told = reading.told;
            if (!told.empty() && told.back().type == piece.type && !told.back().ends_stream &&
                !piece.ends_stream)
                told.back().content += piece.content;
            else
                told.push_back({piece.type, piece.request, std::string(piece.content), piece.ends_stream});
        }
    }
    reading.between = reader.between_records();
    return reading;
}

std::vector<std::pair<std::string, std::string>> params_of(std::string_view bytes, bool& whole) {
    std::vector<std::pair<std::string, std::string>> all;
    while (const auto param = take_param(bytes)) all.emplace_back(param->name, param->value);
    whole = bytes.empty();
    return all;
}

}  // namespace

TEST_CASE("a request is written as FastCGI 1.0 shows it", "[fastcgi]") {
    std::string out;
    append_begin_request(out, 1, {.role = Role::responder, .keep_connection = true});
    CHECK(out == "\1\1\0\1\0\10\0\0"s + "\0\1\1\0\0\0\0\0"s);

    std::string params;
    append_param(params, "SERVER_PORT", "80");
    append_param(params, "QUERY_STRING", std::string(200, 'q'));
    CHECK(params == "\13\2SERVER_PORT80"s + "\14\200\0\0\310QUERY_STRING"s + std::string(200, 'q'));

    out.clear();
    append_record(out, Type::params, 258, "abc");
    CHECK(out == "\1\4\1\2\0\3\0\0abc"s);
    out.clear();
    append_end_of_stream(out, Type::standard_in, 1);
    CHECK(out == "\1\5\0\1\0\0\0\0"s);
    out.clear();
    append_end_request(out, 1, {.app_status = 0x01020304, .protocol_status = ProtocolStatus::overloaded});
    CHECK(out == "\1\3\0\1\0\10\0\0"s + "\1\2\3\4\2\0\0\0"s);
    out.clear();
    append_unknown_type(out, static_cast<Type>(77));
    CHECK(out == "\1\13\0\0\0\10\0\0"s + "\115\0\0\0\0\0\0\0"s);
}

TEST_CASE("records are the same however their bytes are cut", "[fastcgi]") {
    std::string bytes;
    append_begin_request(bytes, 1, {});
    append_stream(bytes, Type::params, 1, std::string(300, 'p'));
    append_end_of_stream(bytes, Type::params, 1);
    bytes += "\1\6\0\1\0\3\7\0out-------"s;  // padded
    bytes += "\1\6\0\1\0\0\2\0--"s;          // so is the end of a stream
    append_record(bytes, Type::standard_error, 1, "err");
    append_record(bytes, static_cast<Type>(99), 0, "unknown");
    append_record(bytes, Type::get_values, 0, "");
    bytes += "\1\3\0\1\0\10\4\0\0\0\0\5\0\0\0\0----"s;
    const std::vector<Told> expected{
        {Type::begin_request, 1, "\0\1\0\0\0\0\0\0"s, false},
        {Type::params, 1, std::string(300, 'p'), false},
        {Type::params, 1, "", true},
        {Type::standard_out, 1, "out", false},
        {Type::standard_out, 1, "", true},
        {Type::standard_error, 1, "err", false},
        {static_cast<Type>(99), 0, "unknown", false},
        {Type::get_values, 0, "", false},
        {Type::end_request, 1, "\0\0\0\5\0\0\0\0"s, false},
    };
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        CAPTURE(step);
        const Reading reading = read(bytes, step);
        CHECK(reading.told == expected);
        CHECK_FALSE(reading.refused);
        CHECK(reading.between);
    }
}

TEST_CASE("a record that is cut off leaves something missing, padding too", "[fastcgi]") {
    const std::string bytes = "\1\3\0\1\0\10\4\0\0\0\0\5\0\0\0\0----"s;
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        CAPTURE(size);
        const Reading reading = read(std::string_view(bytes).substr(0, size), 5);
        CHECK(reading.told.empty());
        CHECK_FALSE(reading.between);
    }
}

TEST_CASE("what speaks another protocol is refused at its first byte", "[fastcgi]") {
    CHECK(read("H", 1).refused);
    CHECK(read("HTTP/1.1 400 Bad Request\r\n\r\n", 100).refused);
    CHECK(read("\2\6\0\1\0\3\0\0out"s, 100).refused);
    CHECK(read("\1\6\0\1\0\3\0\0out\0\6"s, 3).refused);
}

TEST_CASE("a large stream goes in records of bounded size", "[fastcgi]") {
    const std::string body(200'000, 'b');
    std::string bytes;
    append_stream(bytes, Type::standard_in, 1, body);
    CHECK(bytes.size() == body.size() + 4 * header_bytes);
    const Reading reading = read(bytes, 4096);
    REQUIRE(reading.told.size() == 1);
    CHECK(reading.told.front().content == body);

    bytes.clear();
    append_stream(bytes, Type::standard_in, 1, "");  // an empty record would end it
    CHECK(bytes.empty());
}

TEST_CASE("params are read back, whatever their lengths", "[fastcgi]") {
    std::string bytes;
    const std::vector<std::pair<std::string, std::string>> params{
        {"A", ""},
        {"", "x"},
        {std::string(127, 'n'), std::string(128, 'v')},
        {std::string(128, 'n'), std::string(127, 'v')},
        {"LONG", std::string(70'000, 'l')},
    };
    for (const auto& [name, value] : params) append_param(bytes, name, value);
    bool whole = false;
    CHECK(params_of(bytes, whole) == params);
    CHECK(whole);
}

TEST_CASE("params that are cut off, or longer than what is there, are not read", "[fastcgi]") {
    std::string bytes;
    append_param(bytes, "NAME", std::string(200, 'v'));
    bool whole = true;
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        CAPTURE(size);
        CHECK(params_of(std::string_view(bytes).substr(0, size), whole).empty());
        CHECK_FALSE(whole);
    }
    CHECK(params_of("\377\377\377\377\377\377\377\377name"s, whole).empty());
    CHECK_FALSE(whole);
}

TEST_CASE("only eight bytes begin or end a request", "[fastcgi]") {
    const auto begin = read_begin_request("\0\3\1\0\0\0\0\0"s);
    REQUIRE(begin);
    CHECK(begin->role == Role::filter);
    CHECK(begin->keep_connection);
    CHECK_FALSE(read_begin_request("\0\1\1\0\0\0\0"s));
    CHECK_FALSE(read_begin_request("\0\1\1\0\0\0\0\0\0"s));
    const auto end = read_end_request("\0\0\1\0\1\0\0\0"s);
    REQUIRE(end);
    CHECK(end->app_status == 256);
    CHECK(end->protocol_status == ProtocolStatus::cannot_multiplex);
    CHECK_FALSE(read_end_request(""));
}
