// worker/http/fastcgi.h: FastCGI 1.0, for whoever asks and for whoever answers: records out of bytes, and
// into bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace worker::http::fastcgi {

/// What a record is (section 8). Any other number is a type that we do not know.
enum class Type : std::uint8_t {
    begin_request = 1,
    abort_request,
    end_request,
    params,
    standard_in,
    standard_out,
    standard_error,
    data,
    get_values,
    get_values_result,
    unknown_type,
};

enum class Role : std::uint16_t { responder = 1, authorizer, filter };

/// How a request ended, as the protocol sees it (section 5.5).
enum class ProtocolStatus : std::uint8_t {
    complete,
    cannot_multiplex,  ///< one connection, one request: send it on another one
    overloaded,        ///< likewise, to somebody else
    unknown_role,
};

constexpr std::size_t header_bytes = 8;
constexpr std::size_t content_max = 65'535;    ///< bytes in one record
constexpr std::size_t content_usual = 65'528;  ///< what we put into a full one: a multiple of eight
constexpr std::uint16_t management = 0;        ///< the request id of what belongs to no request

/// What has come of a record. The content of a stream (params to data) comes as it arrives, as views of the
/// bytes that were given; that of all other records in one piece, when the record's padding has come too.
struct Piece {
    Type type = Type::begin_request;
    std::uint16_t request = management;
    std::string_view content;
    bool ends_stream = false;  ///< the record is empty
};

/// Takes records out of bytes that may be cut anywhere. Knows nothing of requests: what a type means, and
/// whether it is welcome, is for its user to say.
class RecordReader {
 public:
    enum class Found : std::uint8_t {
        more,     ///< all bytes are taken
        piece,    ///< see `piece`; good until the next call, and while the bytes are there
        refused,  ///< this is not version 1, and nothing behind it can be read
    };

    void reset() noexcept;
    /// Takes from the front of `bytes`.
    [[nodiscard]] Found next(std::string_view& bytes);
    [[nodiscard]] const Piece& piece() const noexcept { return piece_; }
    /// Nothing is missing of the record that was begun last; its padding counts.
    [[nodiscard]] bool between_records() const noexcept {
        return have_ == 0 && content_ == 0 && padding_ == 0;
    }

 private:
    [[nodiscard]] bool read_header(std::string_view& bytes);

    std::array<std::uint8_t, header_bytes> header_{};
    std::size_t have_ = 0;                   ///< bytes of the header; 0 once it is read
    std::size_t content_ = 0, padding_ = 0;  ///< still to come
    bool whole_ = false;                     ///< the record is collected, and then told
    std::string collected_;
    Piece piece_;
};

/// Of a record whose `content` bytes, at most `content_max`, follow by other ways.
void append_header(std::string& out, Type type, std::uint16_t request, std::size_t content);
/// A record of at most `content_max` bytes.
void append_record(std::string& out, Type type, std::uint16_t request, std::string_view content);
/// As many records as it takes; nothing for no bytes, for an empty record ends its stream.
void append_stream(std::string& out, Type type, std::uint16_t request, std::string_view bytes);
inline void append_end_of_stream(std::string& out, Type type, std::uint16_t request) {
    append_record(out, type, request, {});
}

struct BeginRequest {
    Role role = Role::responder;
    bool keep_connection = false;  ///< whoever answers leaves the connection open
};
void append_begin_request(std::string& out, std::uint16_t request, const BeginRequest& begin);
/// None: that is no such content.
[[nodiscard]] std::optional<BeginRequest> read_begin_request(std::string_view content) noexcept;

struct EndRequest {
    std::uint32_t app_status = 0;  ///< as the exit status of a program
    ProtocolStatus protocol_status = ProtocolStatus::complete;
};
void append_end_request(std::string& out, std::uint16_t request, const EndRequest& end);
/// None: that is no such content.
[[nodiscard]] std::optional<EndRequest> read_end_request(std::string_view content) noexcept;

/// The answer to a management record of a type that is not known (section 4.2).
void append_unknown_type(std::string& out, Type type);

struct Param {
    std::string_view name, value;
};
/// Into the content of `params`, `get_values` and `get_values_result` (section 3.4).
void append_param(std::string& out, std::string_view name, std::string_view value);
/// Takes a pair from the front of a whole stream's `bytes`. None: they are all taken, or, where some are
/// left, they are no such content.
[[nodiscard]] std::optional<Param> take_param(std::string_view& bytes) noexcept;

}  // namespace worker::http::fastcgi
