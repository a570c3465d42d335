// ipc/result.h: how the system interface reports what it could not do.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <tl/expected.hpp>

namespace ipc {

/// What we were doing and why it failed: "bind 0.0.0.0:80: Permission denied".
struct Error {
    std::string doing;
    std::error_code why;

    [[nodiscard]] std::string text() const { return why ? doing + ": " + why.message() : doing; }
};

template <class T>
using Result = tl::expected<T, Error>;

/// The failure errno stands for, right after the call that set it.
inline tl::unexpected<Error> system_error(std::string doing) {
    return tl::make_unexpected(Error{std::move(doing), std::error_code(errno, std::generic_category())});
}

/// A failure that no errno names; `doing` says it all.
inline tl::unexpected<Error> failure(std::string doing) {
    return tl::make_unexpected(Error{std::move(doing), {}});
}

}  // namespace ipc
