// Three tiers in one coroutine: the event loop waits, a thread does what blocks, a process does what computes.
//
//   g++ $(pkg-config --cflags reeve) -O2 -shared -o three_tier.so three_tier.cpp
//
// GET /report?100000 answers with the name of this machine's user 0, which a library looks up that may block,
// and the number of primes below 100000, which takes a processor. Nothing of it holds up the loop, and the two
// go on side by side.
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <vector>

#include <reeve/module.h>

namespace {

using reeve::Context;
using reeve::Request;
using reeve::Response;
using reeve::Task;

/// As libraries are: it returns when it returns.
std::string look_up(unsigned id, long wait_us) {
    ::usleep(static_cast<useconds_t>(wait_us));  // a directory service that is far away
    std::vector<char> room(16 * 1024);
    passwd entry{}, *found = nullptr;
    ::getpwuid_r(id, &entry, room.data(), room.size(), &found);
    return found != nullptr ? found->pw_name : "nobody";
}

/// A function for processes: bytes in, bytes out.
std::string primes(std::string_view below) {
    unsigned long end = 0;
    const auto read = std::from_chars(below.data(), below.data() + below.size(), end);
    if (read.ec != std::errc() || end > 50'000'000) throw std::runtime_error("a number up to 50000000");
    std::vector<bool> composite(end);
    unsigned long found = 0;
    for (unsigned long n = 2; n < end; ++n) {
        if (composite[n]) continue;
        ++found;
        for (unsigned long m = n * n; m < end; m += n) composite[m] = true;
    }
    return std::to_string(found);
}

Task<std::string> name_of(Context& context, unsigned id) {
    const auto work = [id] { return look_up(id, 50'000); };  // named: see <reeve/module.h>
    co_return co_await context.blocking("lookups", work);
}

Task<std::string> count(Context& context, std::string below) {
    co_return co_await context.compute("numbers", "primes", below);
}

Task<Response> report(Request request, Context& context) {
    auto [name, number] = co_await context.all(std::chrono::seconds(5), name_of(context, 0),
                                               count(context, request.query));
    if (number.late()) co_return Response(504, "that takes too long\n");
    co_return Response(200, (name ? *name : "somebody") + " has " + number.value() + " primes\n");
}

void load(reeve::Setup& setup) {
    setup.handler("report", report);
    setup.compute("primes", primes);
}

}  // namespace

REEVE_MODULE(load);
