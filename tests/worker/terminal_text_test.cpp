// What strangers wrote does a terminal no harm, and stays readable.
#include <catch2/catch.hpp>

#include "worker/command/terminal_text.h"

using namespace worker::command;

TEST_CASE("what a terminal would obey is written out", "[jobs][command]") {
    CHECK(terminal_text("plain äöü 日本 \xf0\x9f\x98\x80") == "plain äöü 日本 \xf0\x9f\x98\x80");
    CHECK(terminal_text("\x1b[31mred\x07") == "\\x1b[31mred\\x07");
    CHECK(terminal_text(std::string_view("a\0b", 3)) == "a\\x00b");
    CHECK(terminal_text("a\nb\tc\rd\x7f") == "a\\x0ab\\x09c\\x0dd\\x7f");
    CHECK(terminal_text("a\nb\tc\rd", true) == "a\nb\tc\\x0dd");
    CHECK(terminal_text("\xc2\x9b"
                        "31m") == "\\u{9b}31m");  // CSI of eight bits, in UTF-8
    CHECK(terminal_text("\x9b"
                        "31m") == "\\x9b31m");  // and not
    CHECK(terminal_text("\xe2\x80\xae"
                        "gnp") == "\\u{202e}gnp");                                // right to left
    CHECK(terminal_text("\xe2\x80\xa8") == "\\u{2028}");                          // a line end that is none
    CHECK(terminal_text("\xc0\x8a\xed\xa0\x80") == "\\xc0\\x8a\\xed\\xa0\\x80");  // no UTF-8
    CHECK(terminal_text("\xe2\x82") == "\\xe2\\x82");
    CHECK(terminal_text("") == "");
}

TEST_CASE("nothing but what is printed is left of any bytes", "[jobs][command]") {
    std::string all;
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; ++second) {
            all += static_cast<char>(first);
            all += static_cast<char>(second);
        }
    for (const char byte : terminal_text(all))
        REQUIRE((static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f));
    CHECK(terminal_text(terminal_text(all)) == terminal_text(all));
}

TEST_CASE("texts are cut between characters", "[jobs][command]") {
    CHECK(columns_of("äöü") == 3);
    CHECK(shortened("äöüäöü", 6) == "äöüäöü");
    CHECK(shortened("äöüäöüä", 6) == "äöü...");
}
