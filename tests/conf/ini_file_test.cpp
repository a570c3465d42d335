#include "conf/ini_file.h"

using namespace conf;

namespace {

/// "LINE key=value", with + for a continued line; sections as "LINE [kind name]".
std::vector<std::string> lines(const IniText& text) {
    std::vector<std::string> all;
    const auto add = [&](const IniSetting& setting) {
        all.push_back(std::to_string(setting.line) + (setting.continued ? "+ " : " ") + setting.key + "=" +
                      setting.value);
    };
    for (const auto& setting : text.top) add(setting);
    for (const auto& section : text.sections) {
        all.push_back(std::to_string(section.line) + " [" + section.kind + (section.name.empty() ? "" : " ") +
                      section.name + "]");
        for (const auto& setting : section.settings) add(setting);
    }
    return all;
}

std::string complaint(std::string_view text) {
    const auto read = read_ini(text);
    if (read.complaints.size() != 1) return std::to_string(read.complaints.size()) + " complaints";
    return std::to_string(read.complaints[0].line) + ": " + read.complaints[0].message;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("sections, settings and continued lines keep their line numbers", "[conf]") {
    const auto text =
        read_ini("a = 1\n\n[server x]\n; no\n# no\nlisten = 80 ; yes\n   81\n\n\t82\n[reeve]\nuser=b\n");
    CHECK(lines(text) == Lines{"1 a=1", "3 [server x]", "6 listen=80", "7+ listen=81", "9+ listen=82",
                               "10 [reeve]", "11 user=b"});
    CHECK(text.complaints.empty());
}

TEST_CASE("a section without settings is still seen", "[conf]") {
    CHECK(lines(read_ini("[server a]\n[server b] ; the second\n")) == Lines{"1 [server a]", "2 [server b]"});
}

TEST_CASE("line ends of any system and a byte order mark change nothing", "[conf]") {
    const Lines expected{"1 [a]", "2 b=c", "3+ b=d"};
    CHECK(lines(read_ini("[a]\nb = c\n d\n")) == expected);
    CHECK(lines(read_ini("[a]\r\nb = c\r\n d\r\n")) == expected);
    CHECK(lines(read_ini("\xef\xbb\xbf[a]\nb = c\n d")) == expected);
}

TEST_CASE("comments end a value, but not inside of quotes", "[conf]") {
    CHECK(lines(read_ini("[a]\nb = 200 \"x ; y\" ; z\nc = p;q\nd = ; empty\n")) ==
          Lines{"1 [a]", "2 b=200 \"x ; y\"", "3 c=p;q", "4 d="});
}

TEST_CASE("the longest line is read whole and a longer one refused", "[conf]") {
    const std::string key = "b = ";
    const std::string longest(line_bytes_max - key.size(), 'x');
    const auto text = read_ini("[a]\n" + key + longest + "\nc = d\n");
    REQUIRE(text.complaints.empty());
    REQUIRE(text.sections.at(0).settings.size() == 2);
    CHECK(text.sections[0].settings[0].value == longest);
    CHECK(text.sections[0].settings[1].line == 3);
    CHECK(complaint("[a]\n" + key + longest + "y\nc = d\n") == "2: the line is longer than 65536 bytes");
}

TEST_CASE("names that inih would cut are refused", "[conf]") {
    const std::string fits(name_bytes_max, 'k'), cut(name_bytes_max + 1, 'k');
    CHECK(lines(read_ini("[a]\n" + fits + " = 1\n 2\n")) ==
          Lines{"1 [a]", "2 " + fits + "=1", "3+ " + fits + "=2"});
    CHECK(complaint("[a]\n" + cut + " = 1\n") == "2: key \"" + cut + "\" is longer than 49 characters");
    CHECK(read_ini("[" + fits + "]\n").sections.size() == 1);
    CHECK(complaint("[" + cut + "]\n") == "1: section \"" + cut + "\" is longer than 49 characters");
}

TEST_CASE("what is not INI is refused with its line", "[conf]") {
    CHECK(complaint("[server x\nlisten = 80\n") == "1: section \"[server x\" is not closed: `]` is missing");
    CHECK(complaint("[server x] y\n") == "1: text behind the section header \"[server x] y\"");
    CHECK(complaint("\n[]\n").starts_with("2: section \"[]\" is not [kind name]"));
    CHECK(complaint("[server a b]\n").starts_with("1: section \"[server a b]\" is not [kind name]"));
    CHECK(complaint("[server a/b]\n").starts_with("1: "));
    CHECK(complaint("[a]\nlisten 127.0.0.1:80\n") == "2: \"listen 127.0.0.1:80\" is not `key = value`");
    CHECK(complaint("[a]\nlisten\n") == "2: \"listen\" is not `key = value`");
    CHECK(complaint("[a]\n= 1\n") == "2: \"\" is not a key");
    CHECK(complaint("[a]\nb c = 1\n") == "2: \"b c\" is not a key");
    CHECK(complaint("[a]\nb = \"c\n") == "2: b: a quote is not closed");
    CHECK(complaint("[a]\nb = c\x01\n") == "2: control character 0x01");
    CHECK(complaint("[a]\nb = c\rd\n") == "2: control character 0x0d");
    CHECK(complaint(std::string_view("[a]\nb = \0\n", 10)) == "2: a NUL byte: this is not a text file");
}

TEST_CASE("indented lines that were not meant to continue anything are refused", "[conf]") {
    CHECK(complaint("  a = 1\n")
              .starts_with("1: an indented line continues the setting above, and there is none"));
    CHECK(complaint("[a]\n  b = 1\n  c = 2\n").starts_with("2: an indented line continues"));
    CHECK(complaint("[a]\nb = 1\n  c = 2\n") ==
          "3: an indented line continues the setting above; begin `c` at the first column");
    CHECK(complaint("[a]\nb = 1\n  [server c]\n") == "3: a section header must begin at the first column");
    CHECK(lines(read_ini("[a]\nlisten =\n  [::]:80\n  80\n")) ==
          Lines{"1 [a]", "2 listen=", "3+ listen=[::]:80", "4+ listen=80"});
}

TEST_CASE("a refused line takes its continuation along, a refused section its settings", "[conf]") {
    const auto text = read_ini("[a]\nb = 1\nc 2\n 3\nd = 4\n[x\ne = 5\n[f]\n");
    CHECK(lines(text) == Lines{"1 [a]", "2 b=1", "5 d=4", "8 [f]"});
    CHECK(text.complaints.size() == 2);
}

TEST_CASE("every complaint comes, in line order", "[conf]") {
    const auto text = read_ini("[a\nb\n[c]\nd\ne = 1\nf\n");
    std::vector<std::uint32_t> at;
    for (const auto& one : text.complaints) at.push_back(one.line);
    CHECK(at == std::vector<std::uint32_t>{1, 2, 4, 6});
}
