#include "worker/jobs/sqlite_statement.h"

namespace worker::jobs {

bool SqliteStatement::Use::row() {
    if (!of_.connection_.ok()) return false;
    const int code = sqlite3_step(of_.statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) of_.connection_.fail(code);
    return false;
}

std::string SqliteStatement::Use::text(int column) const {
    const void* bytes = sqlite3_column_blob(of_.statement_, column);
    const int size = sqlite3_column_bytes(of_.statement_, column);
    if (bytes == nullptr || size <= 0) return {};
    return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

void SqliteStatement::prepare() {
    if (statement_ != nullptr || !connection_.ok()) return;
    check(sqlite3_prepare_v3(connection_.get(), sql_, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
}

void SqliteStatement::bind(int index, std::string_view text) {
    if (!connection_.ok()) return;
    const char* bytes = text.data() == nullptr ? "" : text.data();  // null would be NULL
    check(sqlite3_bind_text64(statement_, index, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void SqliteStatement::bind(int index, SqliteBlob blob) {
    if (!connection_.ok()) return;
    const char* bytes = blob.bytes.data() == nullptr ? "" : blob.bytes.data();
    check(sqlite3_bind_blob64(statement_, index, bytes, blob.bytes.size(), SQLITE_STATIC));
}

void SqliteStatement::bind(int index, SqliteOptional value) {
    if (value.text.empty()) return bind(index, nullptr);
    bind(index, value.text);
}

void SqliteStatement::bind(int index, std::nullptr_t) {
    if (connection_.ok()) check(sqlite3_bind_null(statement_, index));
}

}  // namespace worker::jobs
