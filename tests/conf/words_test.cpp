#include "conf/words.h"

using namespace conf;

TEST_CASE("words are split at white space and quotes keep it", "[conf]") {
    const auto words = split_words("  a \"b ; c\"\t\"\" d");
    REQUIRE(words);
    REQUIRE(words->size() == 4);
    CHECK((*words)[1].text == "b ; c");
    CHECK((*words)[1].quoted);
    CHECK((*words)[2].text.empty());
    CHECK_FALSE((*words)[3].quoted);
}

TEST_CASE("the escapes of C are known and no others", "[conf]") {
    CHECK(only_word(R"("a\n\t\r\"\\b")", "word") == std::string("a\n\t\r\"\\b"));
    CHECK_FALSE(only_word(R"("a\x41")", "word"));
    CHECK_FALSE(only_word(R"("a\)", "word"));
}

TEST_CASE("a quote that is cut anywhere is refused", "[conf]") {
    const std::string whole = R"("a \" ; \\ b")";
    REQUIRE(only_word(whole, "word") == std::string("a \" ; \\ b"));
    for (std::size_t size = 1; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(split_words(whole.substr(0, size)));
    }
}

TEST_CASE("text touching a quote is refused", "[conf]") {
    CHECK_FALSE(split_words("\"a\"b"));
    CHECK_FALSE(split_words("a\"b\""));
}

TEST_CASE("free text is taken as it stands unless it is one quoted word", "[conf]") {
    CHECK(free_text(" a  \"b\" c ") == std::string("a  \"b\" c"));
    CHECK(free_text("\"a\" \"b\"") == std::string("\"a\" \"b\""));
    CHECK(free_text("\"a \\\" b\"") == std::string("a \" b"));
}

TEST_CASE("an inline comment begins at a semicolon behind white space, outside of quotes", "[conf]") {
    CHECK(without_comment(" a ; b") == std::string_view(" a "));
    CHECK(without_comment(" a;b") == std::string_view(" a;b"));
    CHECK(without_comment(" 200 \"a ; b\" ; c") == std::string_view(" 200 \"a ; b\" "));
    CHECK(without_comment(" \"a \\\" ; b\"") == std::string_view(" \"a \\\" ; b\""));
    CHECK(without_comment(" a=\"b ; c\"") == std::string_view(" a=\"b ; c\""));
    CHECK_FALSE(without_comment(" a \"b ; c"));
}

TEST_CASE("whatever is written as a word or as text reads back the same", "[conf]") {
    const std::vector<std::string> texts{"a",   "",     "a b",   " a", ";a",      "a ; b",
                                         "a;b", "\"",   "\"a\"", "\\", "\\n",     "a\nb",
                                         "\t",  "a\"b", "#a",    "=",  "\xc3\xa4"};
    for (const auto& text : texts) {
        CAPTURE(text);
        CHECK(only_word(as_word(text), "word") == text);
        CHECK(free_text(as_text(text)) == text);
        CHECK(only_word(quoted(text), "word") == text);
        for (const auto& written : {as_word(text), as_text(text), quoted(text)})
            CHECK(without_comment(" " + written) == std::string_view(" " + written));
    }
}

TEST_CASE("a text longer than its bound is refused", "[conf]") {
    CHECK(free_text(std::string(text_bytes_max, 'x')));
    CHECK_FALSE(free_text(std::string(text_bytes_max + 1, 'x')));
    CHECK_FALSE(split_words(quoted(std::string(text_bytes_max + 1, 'x'))));
}

TEST_CASE("what is shown of a value is one line and not endless", "[conf]") {
    CHECK(shown("a\nb") == "\"a\\x0ab\"");
    CHECK(shown(std::string(1000, 'x')).size() < 80);
}
