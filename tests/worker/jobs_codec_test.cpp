// tests/worker/jobs_codec_test.cpp: operations as frames: what is written reads back, and nothing else is
// read.
#include "worker/jobs/codec.h"

#include <random>

using namespace worker::jobs;

namespace {

/// The fields of the only frame in `bytes`.
Frame only_frame(const std::string& bytes) {
    REQUIRE(bytes.size() >= frame_head_bytes);
    REQUIRE(frame_length(bytes) == bytes.size() - frame_length_bytes);
    const auto frame = parse_frame(std::string_view(bytes).substr(frame_length_bytes));
    REQUIRE(frame);
    return *frame;
}

std::string asked(const Operation& operation) {
    std::string bytes;
    append_ask(bytes, 7, operation, 1'234);
    return bytes;
}

std::string stored(const Operation& operation) {
    std::string bytes;
    append_stored(bytes, 7, operation);
    return bytes;
}

Enqueue some_job() {
    Enqueue enqueue;
    enqueue.job = {.id = "an id",
                   .queue = "mail",
                   .content_type = "text/plain",
                   .body = std::string("a\0b\xff", 4),
                   .run_at = 1'700'000'000'123,
                   .priority = -5,
                   .attempts = 3,
                   .key = "k",
                   .unique = "u",
                   .idempotency_key = "i",
                   .fingerprint = "f",
                   .idempotency_until = 5,
                   .callback = "http://x",
                   .trace = "t",
                   .request = std::string("\1\0", 2)};
    enqueue.room = {10, 1'000'000'000'000};
    return enqueue;
}

/// One of each, with something in it.
std::vector<Operation> all_of_them() {
    std::vector<Operation> all;
    all.emplace_back(some_job());
    all.emplace_back(Claim{.queue = "q",
                           .owner = "o",
                           .count = 3,
                           .key_concurrency = 1,
                           .running_max = 2,
                           .lease_until = 9,
                           .answer = {}});
    all.emplace_back(Extend{"o", 4});
    Finish finish;
    finish.id = "x";
    finish.fence = -1;
    finish.ending = Ending::timed_out;
    finish.error = "late";
    finish.result = "r";
    finish.result_cut = true;
    finish.result_status = 404;
    finish.result_fields = "ETag: x\r\n";
    all.emplace_back(finish);
    all.emplace_back(Progress{.id = "x", .fence = 2, .text = "half", .answer = {}});
    all.emplace_back(Cancel{.id = "x", .answer = {}});
    all.emplace_back(Retry{.id = "x", .answer = {}});
    all.emplace_back(Get{.id = "x", .with_result = true, .answer = {}});
    List list;
    list.queue = "q";
    list.states = {State::dead, State::done};
    list.after = "x";
    all.emplace_back(list);
    all.emplace_back(Pause{"q", false});
    Purge purge;
    purge.queue = "q";
    purge.states = {State::dead};
    all.emplace_back(purge);
    Expire expire;
    expire.queues = {{"q", 1, 2}, {"r", 3, 4}};
    all.emplace_back(expire);
    Recover recover;
    recover.alive = {"a", "b"};
    all.emplace_back(recover);
    all.emplace_back(Stats{});
    all.emplace_back(Fire{"s", 5, some_job()});
    all.emplace_back(LastFired{.schedule = "s", .answer = {}});
    return all;
}

}  // namespace

TEST_CASE("what is asked reads back as it was written, each kind", "[worker][jobs]") {
    const auto all = all_of_them();
    REQUIRE(all.size() == std::variant_size_v<Operation>);
    for (const auto& operation : all) {
        CAPTURE(operation.index());
        const auto bytes = asked(operation);
        const auto frame = only_frame(bytes);
        CHECK(frame.head.number == 7);
        CHECK(frame.head.kind == FrameKind::ask);
        const auto read = decode_ask(frame.fields);
        REQUIRE(read);
        CHECK(read->until_ms == 1'234);
        CHECK(read->operation.index() == operation.index());
        CHECK(asked(read->operation) == bytes);
    }
}

TEST_CASE("a job reads back field by field", "[worker][jobs]") {
    const auto bytes = asked(some_job());
    const auto read = decode_ask(only_frame(bytes).fields);
    REQUIRE(read);
    const auto& job = std::get<Enqueue>(read->operation).job;
    CHECK(job.id == "an id");
    CHECK(job.body == std::string("a\0b\xff", 4));
    CHECK(job.priority == -5);
    CHECK(job.run_at == 1'700'000'000'123);
    CHECK(std::get<Enqueue>(read->operation).room.bytes == 1'000'000'000'000);
}

TEST_CASE("an answer goes into what was asked", "[worker][jobs]") {
    Get get{.id = "x", .with_result = true, .answer = {}};
    get.answer.found = true;
    get.answer.job.id = "x";
    get.answer.job.state = State::dead;
    get.answer.job.history = {{1, 10, 20, Ending::crashed, "died"}, {2, 30, 40, Ending::failed, "500"}};
    get.answer.job.result = std::string("yes");
    get.answer.job.result_cut = true;
    get.answer.job.result_status = 404;
    get.answer.job.result_fields = "ETag: x\r\n";
    const auto bytes = stored(get);
    Operation asked_for = Get{.id = "x", .with_result = true, .answer = {}};
    REQUIRE(decode_stored(only_frame(bytes).fields, asked_for));
    const auto& job = std::get<Get>(asked_for).answer.job;
    CHECK(job.state == State::dead);
    REQUIRE(job.history.size() == 2);
    CHECK(job.history[1].error == "500");
    CHECK(job.history[0].ending == Ending::crashed);
    CHECK(job.result == "yes");
    CHECK(job.result_cut);
    CHECK(job.result_status == 404);
    CHECK(job.result_fields == "ETag: x\r\n");

    Operation other = Cancel{.id = "x", .answer = {}};
    CHECK_FALSE(decode_stored(only_frame(bytes).fields, other));
}

TEST_CASE("frames that end within a field, or have numbers that mean nothing, are refused",
          "[worker][jobs]") {
    const auto cut_by_one = [](const Operation& operation) {
        auto fields = std::string(only_frame(asked(operation)).fields);
        fields.pop_back();
        return decode_ask(fields);
    };
    for (const auto& operation : all_of_them()) {
        CAPTURE(operation.index());
        // of those a single byte is the last field, and may be missing; the last has none
        if (std::holds_alternative<Pause>(operation) || std::holds_alternative<Recover>(operation) ||
            std::holds_alternative<Stats>(operation))
            continue;
        CHECK_FALSE(cut_by_one(operation));
    }
    CHECK_FALSE(parse_frame("abc"));
    // An ending that there is not.
    Finish finish;
    finish.ending = static_cast<Ending>(99);
    CHECK_FALSE(decode_ask(only_frame(asked(finish)).fields));
    // A list that says it is long, and is not there.
    CHECK_FALSE(
        decode_ask(std::string(8, '\0') + std::string(1, '\x0c') + std::string("\xff\xff\xff\xff\0", 5)));
}

TEST_CASE("what an older version does not say is as if nobody had set it", "[worker][jobs]") {
    const Claim claim{
        .queue = "q", .owner = "o", .count = 3, .running_max = 2, .lease_until = 9, .answer = {}};
    const std::string fields(only_frame(asked(claim)).fields);
    const auto older = decode_ask(fields.substr(0, fields.size() - sizeof claim.lease_until));
    REQUIRE(older);
    CHECK(std::get<Claim>(older->operation).running_max == 2);
    CHECK(std::get<Claim>(older->operation).lease_until == 0);
}

TEST_CASE("what a newer version says beyond what is known is passed over", "[worker][jobs]") {
    for (const auto& operation : all_of_them()) {
        CAPTURE(operation.index());
        const auto bytes = asked(operation);
        const auto read = decode_ask(std::string(only_frame(bytes).fields) + "more");
        REQUIRE(read);
        CHECK(asked(read->operation) == bytes);
    }
    // Within a struct, with something behind it: a list of two, each with a field more.
    Expire expire;
    expire.queues = {{"q", 1, 2}, {"r", 3, 4}};
    const std::string known(only_frame(asked(expire)).fields);
    const std::size_t head = 9 + 4,
                      one = 4 + (4 + 1) + 8 + 8;  // until, operation, length; size, text, numbers
    REQUIRE(known.size() == head + 2 * one);
    std::string newer = known.substr(0, head);
    for (const auto at : {head, head + one}) {
        auto keep = known.substr(at, one) + "new";
        keep[0] = static_cast<char>(one - 4 + 3);
        newer += keep;
    }
    const auto read = decode_ask(newer);
    REQUIRE(read);
    const auto& queues = std::get<Expire>(read->operation).queues;
    REQUIRE(queues.size() == 2);
    CHECK(queues[1].queue == "r");
    CHECK(queues[1].dead_before == 4);
}

TEST_CASE("kinds and operations of a newer version are told apart from nonsense", "[worker][jobs]") {
    const auto ask = decode_ask(std::string(8, '\0') + "\x40");
    REQUIRE_FALSE(ask);
    CHECK(ask.error().why == std::errc::function_not_supported);
    const auto frame = parse_frame(std::string("\0\0\0\0\x09", 5));
    REQUIRE_FALSE(frame);
    CHECK(frame.error().why == std::errc::function_not_supported);
}

TEST_CASE("an answer that says nothing is none", "[worker][jobs]") {
    Operation operation = some_job();
    std::string fields(1, static_cast<char>(operation.index()));
    CHECK_FALSE(decode_stored(fields, operation));
}

TEST_CASE("a wish to end a job reads back, and nothing else does", "[worker][jobs]") {
    std::string bytes;
    append_cancel(bytes, "a job", -7);
    const auto frame = only_frame(bytes);
    CHECK(frame.head.kind == FrameKind::cancel);
    const auto read = decode_cancel(frame.fields);
    REQUIRE(read);
    CHECK(read->id == "a job");
    CHECK(read->fence == -7);
    for (std::size_t size = 0; size < frame.fields.size(); ++size)
        CHECK_FALSE(decode_cancel(frame.fields.substr(0, size)));
}

TEST_CASE("whatever bytes come, reading ends", "[worker][jobs]") {
    std::mt19937 random(1);
    const auto all = all_of_them();
    for (int round = 0; round < 20'000; ++round) {
        auto bytes = asked(all[random() % all.size()]);
        for (unsigned change = 0; change <= random() % 4; ++change)
            bytes[frame_head_bytes + random() % (bytes.size() - frame_head_bytes)] =
                static_cast<char>(random());
        const auto frame = parse_frame(std::string_view(bytes).substr(frame_length_bytes));
        if (!frame) continue;
        if (const auto read = decode_ask(frame->fields))
            CHECK(asked(read->operation).size() > frame_head_bytes);
        Operation any = all[random() % all.size()];
        (void)decode_stored(frame->fields, any);
    }
}

TEST_CASE("what is asked weighs what its answer may have", "[worker][jobs]") {
    Get get{.id = "x", .with_result = true, .room = 5'000'000, .answer = {}};
    CHECK(weight(get) > 5'000'000);
    get.answer.job.result = std::string(5'000'000, 'x');
    CHECK(weight(get) < 6'000'000);  // the same before and after
    get.with_result = false;
    CHECK(weight(get) < 100'000);
    List list;
    list.limit = listed_max;
    CHECK(weight(list) > 1000 * sizeof(View));
    list.limit = 1;
    CHECK(weight(list) < 10'000);
}
