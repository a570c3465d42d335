#include <catch2/catch.hpp>

#include "worker/http/accept_encoding.h"

using namespace worker::http;

namespace {

CodingSet set_of(std::initializer_list<Coding> codings) {
    CodingSet set;
    for (const Coding coding : codings) set.add(coding);
    return set;
}

const CodingSet all = set_of({Coding::gzip, Coding::br, Coding::zstd});

}  // namespace

TEST_CASE("among equals br wins over zstd, zstd over gzip, gzip over identity", "[http][accept_encoding]") {
    CHECK(choose("gzip, deflate, br, zstd", all) == Coding::br);
    CHECK(choose("gzip, deflate, br, zstd", set_of({Coding::gzip, Coding::zstd})) == Coding::zstd);
    CHECK(choose("identity, gzip", all) == Coding::gzip);
    CHECK(choose("*", all) == Coding::br);
}

TEST_CASE("the highest weight wins", "[http][accept_encoding]") {
    CHECK(choose("br;q=0.5, gzip;q=0.8, zstd;q=0.799", all) == Coding::gzip);
    CHECK(choose("identity;q=1, gzip;q=0.5", all) == Coding::identity);
    CHECK(choose("gzip;q=0.001", all) == Coding::gzip);
    CHECK(choose("br;q=0.2, *;q=0.5", all) == Coding::zstd);
}

TEST_CASE("a weight of 0 excludes", "[http][accept_encoding]") {
    CHECK(choose("br;q=0, gzip", all) == Coding::gzip);
    CHECK(choose("*;q=0", all) == Coding::identity);
    CHECK(choose("*, br;q=0, zstd;q=0", all) == Coding::gzip);
    CHECK(choose("identity;q=0, gzip;q=0.1", all) == Coding::gzip);
}

TEST_CASE("identity is the answer when nothing else is acceptable", "[http][accept_encoding]") {
    CHECK(choose("", all) == Coding::identity);
    CHECK(choose(" , ", all) == Coding::identity);
    CHECK(choose("deflate", all) == Coding::identity);
    CHECK(choose("br", set_of({Coding::gzip})) == Coding::identity);
    CHECK(choose("identity;q=0", CodingSet()) == Coding::identity);
    CHECK(choose("identity;q=0, *;q=0", all) == Coding::identity);
}

TEST_CASE("names ignore case and x-gzip is gzip", "[http][accept_encoding]") {
    CHECK(choose("GZip", all) == Coding::gzip);
    CHECK(choose("X-GZIP", all) == Coding::gzip);
    CHECK(choose("gzipped, brr", all) == Coding::identity);
}

TEST_CASE("a malformed weight takes its member away", "[http][accept_encoding]") {
    CHECK(choose("br;q=high, gzip", all) == Coding::gzip);
    CHECK(choose("br;q=1.5", all) == Coding::identity);
}

TEST_CASE("codings have the names of Content-Encoding", "[http][accept_encoding]") {
    CHECK(coding_name(Coding::br) == "br");
    CHECK(coding_name(Coding::gzip) == "gzip");
    CHECK(coding_name(Coding::zstd) == "zstd");
    CHECK(coding_name(Coding::identity).empty());
}
