// tests/worker/jobs_gathering_test.cpp: when a batch waits for others, and when it does not.
#include "worker/jobs/gathering.h"

using worker::jobs::Gathering;

namespace {

constexpr std::size_t most = 1024;

}  // namespace

TEST_CASE("after a long batch the next waits until those who were answered are back", "[worker][jobs]") {
    Gathering gathering;
    gathering.begin(32, 30, most, 10'000, 1'000'000);
    CHECK(gathering.rest_us(30, 1'000'000) == 5'000);
    CHECK(gathering.rest_us(61, 1'000'400) == 4'600);
    CHECK(gathering.rest_us(62, 1'000'500) == 0);
    CHECK(gathering.rest_us(1, 1'000'501) == 0);  // and the one after that for nobody
}

TEST_CASE("one who asks alone waits for nobody, nor does anybody after a short batch", "[worker][jobs]") {
    Gathering gathering;
    gathering.begin(1, 0, most, 10'000, 1'000'000);
    CHECK(gathering.rest_us(1, 1'000'001) == 0);
    gathering.begin(32, 32, most, Gathering::took_least_us - 1, 1'000'000);
    CHECK(gathering.rest_us(1, 1'000'001) == 0);
}

TEST_CASE("no more are waited for than a batch has room for, and not for long", "[worker][jobs]") {
    Gathering gathering;
    gathering.begin(1024, 500, most, 1'000'000, 1'000'000);
    CHECK(gathering.rest_us(500, 1'000'000) == Gathering::longest_us);
    CHECK(gathering.rest_us(1024, 1'000'001) == 0);
}

TEST_CASE("where those who were answered do not come back, it is tried ever more rarely", "[worker][jobs]") {
    Gathering gathering;
    std::uint64_t now = 1'000'000;
    int tried = 0;
    for (int batch = 0; batch < 1'000; ++batch) {
        now += 100'000;
        gathering.begin(10, 10, most, 10'000, now);
        if (gathering.rest_us(10, now) > 0) {
            ++tried;
            CHECK(gathering.rest_us(10, now + 5'000) == 0);
        }
    }
    CHECK(tried > 10);
    CHECK(tried < 30);
    // Until they do.
    for (int batch = 0; batch < 200; ++batch) {
        now += 100'000;
        gathering.begin(10, 10, most, 10'000, now);
        CHECK(gathering.rest_us(20, now) == 0);
    }
    gathering.begin(10, 10, most, 10'000, now);
    CHECK(gathering.rest_us(10, now) > 0);
}
