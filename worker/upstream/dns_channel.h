// worker/upstream/dns_channel.h: questions to name servers, by c-ares, on our loop.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/result.h"
#include "worker/execution/loop.h"
#include "worker/upstream/dns_message.h"

struct ares_channeldata;

namespace worker::upstream {

/// Who asked. Not told of anything after `forget`, nor when the channel goes.
class DnsAsker {
 public:
    virtual ~DnsAsker() = default;
    /// Perhaps from within `ask`. `failure`: empty, or why there is no answer; then `answer` is empty. That
    /// there is no such name, or no such record of it, is an answer without records.
    virtual void on_answer(std::uint32_t tag, const DnsAnswer& answer, const std::string& failure) = 0;
};

/// One upstream's name servers. Each is asked twice, one after the other, then the question has failed. An
/// answer that was cut off is asked for anew by TCP. Loop thread only.
class DnsChannel {
 public:
    /// `loop` must outlive it. Reads /etc/resolv.conf where no server is configured.
    [[nodiscard]] static ipc::Result<std::unique_ptr<DnsChannel>> make(const conf::Resolver& resolver,
                                                                       execution::Loop& loop);
    DnsChannel(const DnsChannel&) = delete;
    DnsChannel& operator=(const DnsChannel&) = delete;
    ~DnsChannel();

    /// `name`: as it stands, no search list. `tag` comes back.
    void ask(const std::string& name, DnsType type, DnsAsker& asker, std::uint32_t tag);
    void forget(const DnsAsker& asker) noexcept;

 private:
    struct Question {
        DnsChannel& channel;
        DnsAsker* asker;  ///< null: forgotten
        DnsType type;
        std::uint32_t tag;
    };
    /// One socket of c-ares.
    struct Watched {
        void on_io(short what) { channel.on_io(fd, what); }
        DnsChannel& channel;
        int fd;
        ipc::Event event{};
    };

    explicit DnsChannel(execution::Loop& loop);
    static void on_socket_state(void* self, int fd, int readable, int writable);
    static void on_result(void* question, int status, int timeouts, unsigned char* bytes, int size);
    void on_io(int fd, short what);
    void on_time(short what);
    void plan();

    execution::Loop& loop_;
    ares_channeldata* channel_ = nullptr;
    std::list<Question> questions_;
    std::map<int, std::unique_ptr<Watched>> sockets_;
    std::vector<std::unique_ptr<Watched>> closed_;  ///< one of them may be running
    ipc::Event timer_;
};

}  // namespace worker::upstream
