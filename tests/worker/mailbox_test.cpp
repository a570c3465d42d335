// What other threads want done on a loop.
#include "worker/execution/mailbox.h"

#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "tests/worker/turn.h"

TEST_CASE("what other threads post runs on the loop, each thread's in order", "[worker][execution]") {
    constexpr int threads = 4, letters = 500;
    ipc::LoopCell cell;
    worker::execution::Loop loop(cell);
    worker::execution::Mailbox mailbox;
    mailbox.attach(loop);
    const auto here = std::this_thread::get_id();
    std::vector<int> last(threads, -1);
    int done = 0;
    bool ordered = true;
    std::vector<std::thread> writers;
    for (int thread = 0; thread < threads; ++thread)
        writers.emplace_back([&, thread] {
            for (int letter = 0; letter < letters; ++letter)
                mailbox.post([&, thread, letter] {
                    ordered = ordered && std::this_thread::get_id() == here &&
                              last[static_cast<std::size_t>(thread)] == letter - 1;
                    last[static_cast<std::size_t>(thread)] = letter;
                    if (++done == threads * letters) loop.stop();
                });
        });
    loop.run();
    for (auto& writer : writers) writer.join();
    CHECK(ordered);
    CHECK(done == threads * letters);
}

TEST_CASE("letters wait for a loop, and go with the box when none comes", "[worker][execution]") {
    auto held = std::make_shared<int>(1);
    int read = 0;
    {
        worker::execution::Mailbox mailbox;
        mailbox.post([held, &read] { ++read; });
        {
            ipc::LoopCell cell;
            worker::execution::Loop loop(cell);
            mailbox.attach(loop);
            mailbox.post([&loop] { loop.stop(); });
            loop.run();
            mailbox.detach();
        }
        CHECK(read == 1);
        mailbox.post([held, &read] { ++read; });
        CHECK(held.use_count() == 2);
    }
    CHECK(read == 1);
    CHECK(held.use_count() == 1);
}

TEST_CASE("a letter may hold what cannot be copied", "[worker][execution]") {
    ipc::LoopCell cell;
    worker::execution::Loop loop(cell);
    worker::execution::Mailbox mailbox;
    mailbox.attach(loop);
    int got = 0;
    mailbox.post([kept = std::make_unique<int>(7), &got, &loop] {
        got = *kept;
        loop.stop();
    });
    loop.run();
    CHECK(got == 7);
}
