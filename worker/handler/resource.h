// worker/handler/resource.h: what a path comes to on disk, after index, `try` and compressed siblings.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "worker/connection/shared.h"
#include "worker/handler/open_file.h"
#include "worker/http/accept_encoding.h"
#include "worker/http/status.h"

namespace worker::handler {

constexpr std::size_t codings = 4;  ///< as many as http::Coding has

/// One file as one answer: with the header lines it is sent with.
struct Representation {
    connection::Ref<OpenFile> file;  ///< empty: there is none of this coding
    std::string fields;              ///< Content-Type, then all of `lasting_fields`
    std::size_t lasting_from = 0;    ///< what a 304 repeats begins here: validators, Vary, caching
    std::string etag;                ///< the file's, told apart by coding

    [[nodiscard]] std::string_view lasting_fields() const noexcept {
        return std::string_view(fields).substr(lasting_from);
    }
};

/// A resolved path. Made whole, never changed: a newer one takes its place.
struct Resource final : connection::Shared {
    enum class Kind : std::uint8_t {
        file,
        folder,   ///< asked for without its last slash: redirect
        listing,  ///< a folder without index, `autoindex` on
        error,    ///< `status` says which
    };
    Kind kind = Kind::error;
    http::Status status = 404;
    std::array<Representation, codings> representations;  ///< by http::Coding
    http::CodingSet available;

    [[nodiscard]] const Representation& in(http::Coding coding) const noexcept {
        return representations[static_cast<std::size_t>(coding)];
    }
};

}  // namespace worker::handler
