// tests/integration/client.h: a blocking HTTP client that sends exactly the bytes it is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/unique_fd.h"

namespace integration {

struct Response {
    int status = 0;    ///< 0: none came before the end of the stream
    std::string head;  ///< status line and header lines, each with its CR LF
    std::string body;

    /// The value of the first such line; empty when there is none.
    [[nodiscard]] std::string field(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const;
    /// All of it but the date, so that two answers can be compared.
    [[nodiscard]] std::string text() const;
};

/// Whether HEAD was asked: then Content-Length announces what does not come.
enum class Body : bool { none, as_announced };

/// One connection. Whatever takes longer than `patience` fails the test.
class Client {
 public:
    explicit Client(std::uint16_t port, const std::string& host = "127.0.0.1", int receive_buffer = 0);
    /// Over a Unix socket.
    explicit Client(const std::string& path);

    /// Whether anybody takes connections there.
    [[nodiscard]] static bool accepted(std::uint16_t port);

    /// False: the other side has closed.
    bool send(std::string_view bytes);
    /// Ends our direction only.
    void half_close();
    void close() { socket_.reset(); }

    /// The next response, whole; also a 100.
    Response response(Body body = Body::as_announced);
    /// Its head alone; the body is for `take`.
    Response head();
    /// So many bytes, or fewer when the stream ends before.
    std::string take(std::size_t size);
    /// Everything until the stream ends, however it does.
    std::string rest();
    /// Whether the stream ends now, with nothing more in it.
    bool ends() { return rest().empty(); }

    /// Whether anything, the end included, came within that time.
    [[nodiscard]] bool heard(int milliseconds);

 private:
    /// Waits for more; false at the end of the stream.
    bool receive();

    ipc::UniqueFd socket_;
    std::string input_;  ///< received and not yet taken
    bool ended_ = false;
};

/// "GET /x HTTP/1.1", a host, then `lines`, each with its CR LF.
[[nodiscard]] std::string get(const std::string& target, const std::string& lines = "");
[[nodiscard]] std::string post(const std::string& target, const std::string& body,
                               const std::string& lines = "");

}  // namespace integration
