// tests/master/lab/latencies_test.cpp: what goes in comes out again, to a hundredth.
#include "master/lab/latencies.h"

using master::lab::Latencies;

TEST_CASE("each latency is in the bucket that ends at it or just above", "[lab]") {
    std::size_t last = 0;
    for (std::uint64_t us = 0; us < 5'000'000; us += 1 + us / 300) {
        const auto bucket = Latencies::bucket_of(us);
        const auto bound = Latencies::bound_us(bucket);
        CAPTURE(us, bucket, bound);
        REQUIRE(bucket >= last);
        REQUIRE(bound >= us);
        REQUIRE(bound - us <= us / 64);
        REQUIRE(Latencies::bucket_of(bound) == bucket);
        REQUIRE(Latencies::bucket_of(bound + 1) == bucket + 1);
        last = bucket;
    }
}

TEST_CASE("quantiles are of what was added", "[lab]") {
    Latencies latencies;
    CHECK(latencies.quantile_us(0.5) == 0);
    CHECK(latencies.mean_us() == 0);
    for (std::uint64_t us = 1; us <= 100; ++us) latencies.add(us);
    CHECK(latencies.count() == 100);
    CHECK(latencies.quantile_us(0) == 1);
    CHECK(latencies.quantile_us(0.5) == 50);
    CHECK(latencies.quantile_us(0.99) == 99);
    CHECK(latencies.quantile_us(1) == 100);
    CHECK(latencies.mean_us() == Approx(50.5));
    latencies.add(1'000'003);
    CHECK(latencies.max_us() == 1'000'003);
    CHECK(latencies.quantile_us(1) == 1'000'003);  // not the bucket's end
}

TEST_CASE("two histograms together are one of both", "[lab]") {
    Latencies few, many;
    few.add(5);
    for (int i = 0; i < 3; ++i) many.add(70'000);
    few.add(many);
    CHECK(few.count() == 4);
    CHECK(few.quantile_us(0.25) == 5);
    CHECK(few.quantile_us(0.5) == 70'000);
    CHECK(few.max_us() == 70'000);
    Latencies none;
    none.add(few);
    CHECK(none.count() == 4);
}

TEST_CASE("what takes longer than anything does has a place too", "[lab]") {
    Latencies latencies;
    latencies.add(~std::uint64_t{0});
    CHECK(latencies.count() == 1);
    CHECK(latencies.quantile_us(0.5) == latencies.max_us());
}
