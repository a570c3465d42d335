#include "worker/connection/pipe.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>

using worker::connection::Pipe;

namespace {

/// No descriptor from `at` on while it lives.
class DescriptorLimit {
 public:
    explicit DescriptorLimit(rlim_t at) {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const rlimit limit{at, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;
    ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("a pipe is never too narrow to be worth it, and no wider than asked", "[pipe]") {
    for (const int bytes : {Pipe::usual_bytes, Pipe::wide_bytes}) {
        const auto pipe = Pipe::make(bytes);
        if (!pipe) continue;  // this user has too many already
        const int holds = ::fcntl(pipe->reading.get(), F_GETPIPE_SZ);
        CHECK(holds >= Pipe::least_bytes);
        CHECK(holds <= bytes);
    }
}

TEST_CASE("a pipe is empty until something is written, and again when that was read", "[pipe]") {
    const auto pipe = Pipe::make(Pipe::usual_bytes);
    REQUIRE(pipe);
    CHECK(pipe->empty());
    char byte = 'x';
    REQUIRE(::write(pipe->writing.get(), &byte, 1) == 1);
    CHECK_FALSE(pipe->empty());
    REQUIRE(::read(pipe->reading.get(), &byte, 1) == 1);
    CHECK(pipe->empty());
}

TEST_CASE("without descriptors there is no pipe", "[pipe]") {
    const DescriptorLimit none(0);
    CHECK_FALSE(Pipe::make(Pipe::usual_bytes));
}
