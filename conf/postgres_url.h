// conf/postgres_url.h: where a PostgreSQL is, as libpq reads it, and how that is shown without its password.
#pragma once

#include <string>
#include <string_view>

#include "conf/words.h"

namespace conf {

/// `postgresql://` or `postgres://`.
[[nodiscard]] bool is_postgres_url(std::string_view url) noexcept;

/// `url` as it was given, if libpq understands it and it asks for nothing that is reeve's to say.
[[nodiscard]] Parsed<std::string> postgres_url(std::string_view url);

/// In what precedes the host, or in a parameter.
[[nodiscard]] bool has_password(std::string_view url);
/// With `instead` for each password; also of a text that is no URL at all.
[[nodiscard]] std::string without_password(std::string_view url, std::string_view instead = "***");

/// Whether what is said goes over a network, and the URL lets it go there without TLS, or to whoever answers.
[[nodiscard]] bool trusts_the_network(const std::string& url);

}  // namespace conf
