#include "tests/integration/fastcgi_origin.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <filesystem>
#include <utility>

#include "tests/integration/check.h"

namespace integration {

namespace fastcgi = worker::http::fastcgi;

std::string FastcgiAsked::param(const std::string& name) const {
    const auto found = params.find(name);
    return found == params.end() ? std::string() : found->second;
}

FastcgiOrigin::FastcgiOrigin(Script script, FastcgiCalls calls) : script_(std::move(script)), calls_(calls) {
    listener_ = ipc::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    auto* name = reinterpret_cast<sockaddr*>(&any);
    if (::bind(listener_.get(), name, size) != 0 || ::listen(listener_.get(), SOMAXCONN) != 0 ||
        ::getsockname(listener_.get(), name, &size) != 0)
        fail("no listener for programs");
    address_ = "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
    acceptor_ = std::thread([this] { serve(); });
}

FastcgiOrigin::~FastcgiOrigin() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    ::shutdown(listener_.get(), SHUT_RDWR);  // wakes accept
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
}

void FastcgiOrigin::serve() {
    for (;;) {
        const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (socket < 0) return;
        const int on = 1;
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const std::lock_guard lock(mutex_);
        sockets_.push_back(socket);
        if (stopping_) ::shutdown(socket, SHUT_RDWR);
        ++open_;
        const int number = static_cast<int>(++accepted_);
        threads_.emplace_back([this, socket, number] { talk(socket, number); });
    }
}

void FastcgiOrigin::talk(int socket, int number) {
    Talk talk(socket);
    for (int turn = 1; talk.socket_; ++turn) {
        FastcgiAsked asked;
        asked.connection = number;
        asked.turn = turn;
        if (!talk.receive(asked, calls_ == FastcgiCalls::whole)) break;
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(asked);
        }
        script_(asked, talk);
        if (!asked.keep) break;
    }
    const std::lock_guard lock(mutex_);
    std::erase(sockets_, socket);  // its number may be another's soon
    talk.close();
    --open_;
}

std::vector<FastcgiAsked> FastcgiOrigin::asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
}

FastcgiAsked FastcgiOrigin::await(std::size_t count) const {
    eventually("a program is asked", [&] { return asked().size() >= count; });
    return asked()[count - 1];
}

std::size_t FastcgiOrigin::accepted() const {
    const std::lock_guard lock(mutex_);
    return accepted_;
}

std::size_t FastcgiOrigin::open() const {
    const std::lock_guard lock(mutex_);
    return open_;
}

bool FastcgiOrigin::Talk::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

bool FastcgiOrigin::Talk::out(std::string_view text) {
    std::string bytes;
    fastcgi::append_stream(bytes, fastcgi::Type::standard_out, 1, text);
    return send(bytes);
}

bool FastcgiOrigin::Talk::err(std::string_view text) {
    std::string bytes;
    fastcgi::append_stream(bytes, fastcgi::Type::standard_error, 1, text);
    return send(bytes);
}

bool FastcgiOrigin::Talk::end(fastcgi::ProtocolStatus status) {
    std::string bytes;
    fastcgi::append_end_request(bytes, 1, {.protocol_status = status});
    return send(bytes);
}

void FastcgiOrigin::Talk::await_end() {
    char bytes[65536];
    while (::recv(socket_.get(), bytes, sizeof bytes, 0) > 0) continue;
}

void FastcgiOrigin::Talk::close() { socket_.reset(); }

void FastcgiOrigin::Talk::reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

/// False: the other side has gone, or has sent what is no request.
bool FastcgiOrigin::Talk::receive(FastcgiAsked& asked, bool whole) {
    std::string params;
    for (;;) {
        std::string_view rest = input_;
        const auto found = reader_.next(rest);
        const fastcgi::Piece piece = reader_.piece();
        const std::string content(piece.content);  // before the input moves
        input_.erase(0, input_.size() - rest.size());
        if (found == fastcgi::RecordReader::Found::refused) return false;
        if (found == fastcgi::RecordReader::Found::more) {
            char bytes[65536];
            const auto got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
            if (got <= 0) return false;
            input_.append(bytes, static_cast<std::size_t>(got));
            continue;
        }
        switch (piece.type) {
            case fastcgi::Type::begin_request:
                if (const auto begin = fastcgi::read_begin_request(content))
                    asked.keep = begin->keep_connection;
                break;
            case fastcgi::Type::params:
                params += content;
                if (!piece.ends_stream) break;
                for (std::string_view left = params; const auto param = fastcgi::take_param(left);)
                    asked.params.emplace(param->name, param->value);
                if (!whole) return true;
                break;
            case fastcgi::Type::standard_in:
                asked.body += content;
                if (piece.ends_stream) return true;
                break;
            default: return false;
        }
    }
}

Setup programs_at(std::initializer_list<std::string> peers, const std::string& route_lines,
                  const std::string& upstream_lines) {
    std::string upstream = "[upstream programs]\n" + upstream_lines;
    for (const std::string& peer : peers) upstream += "peer = " + peer + "\n";
    return {.execution = "workers = 1\n",
            .routes = upstream + "[route all]\npath = /\nfastcgi = programs\n" + route_lines};
}

Php::Php(const TemporaryFolder& folder, std::vector<std::string> settings) {
    std::filesystem::copy("tests/integration/php", folder.path("app"),
                          std::filesystem::copy_options::recursive);
    std::filesystem::create_directories(folder.path("sessions"));
    settings.insert(settings.end(),
                    {"session.save_path=" + folder.path("sessions"), "upload_max_filesize=64M",
                     "post_max_size=64M", "log_errors=1", "display_errors=0", "expose_php=1"});
    const ipc::UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int tried = 0; tried < 5; ++tried) {
        port_ = free_port();
        std::vector<std::string> words{"env", "PHP_FCGI_CHILDREN=2", "php-cgi", "-b", address()};
        for (const std::string& setting : settings) words.insert(words.end(), {"-d", setting});
        process_ = std::make_unique<Process>(words, nothing.get(), nothing.get());
        eventually("php-cgi listens", [&] { return !process_->running() || Client::accepted(port_); });
        if (process_->running()) return;
    }
    fail("php-cgi does not start; is it installed?");
}

}  // namespace integration
