// tests/master/command_line_test.cpp: what may be asked for, and what may not.
#include "master/command_line.h"

using master::CommandLine;
using Action = CommandLine::Action;

namespace {

std::variant<CommandLine, master::Leave> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "reeve");
    words.push_back(nullptr);
    return master::parse_command_line(static_cast<int>(words.size()) - 1, words.data());
}

CommandLine asked(const std::vector<const char*>& words) {
    const auto parsed = parse(words);
    REQUIRE(std::holds_alternative<CommandLine>(parsed));
    return std::get<CommandLine>(parsed);
}

}  // namespace

TEST_CASE("each option asks for its action", "[master]") {
    CHECK(asked({}).action == Action::run);
    CHECK_FALSE(asked({}).config.empty());
    CHECK(asked({"-c", "x.ini"}).config == "x.ini");
    CHECK(asked({"-t"}).action == Action::check);
    CHECK(asked({"-T", "-c", "x.ini"}).action == Action::dump);
    CHECK(asked({"-v"}).action == Action::version);
    CHECK(asked({"-V"}).action == Action::build);
    CHECK(asked({"-s", "quit"}).signal == "quit");
    CHECK(asked({"-s", "quit"}).action == Action::signal);
    CHECK(asked({"--control", "/c", "-s", "stop"}).control == "/c");
}

TEST_CASE("the lab has its own options", "[master][lab]") {
    const auto plain = asked({"lab"});
    CHECK(plain.action == Action::lab);
    CHECK(plain.lab.out == "reeve-lab.html");
    CHECK((plain.lab.json.empty() && !plain.lab.quick && plain.lab.seconds == 120));
    const auto all = asked({"lab", "--out", "a.html", "--json", "a.json", "--seconds", "60", "--quick"});
    CHECK((all.lab.out == "a.html" && all.lab.json == "a.json" && all.lab.seconds == 60 && all.lab.quick));
}

TEST_CASE("-c stands before a command or after it", "[master]") {
    for (const auto& words : {std::vector<const char*>{"-c", "x.ini", "status", "--json"},
                              std::vector<const char*>{"status", "--json", "-c", "x.ini"}}) {
        const auto line = asked(words);
        CHECK(line.action == Action::status);
        CHECK(line.config == "x.ini");
        CHECK(line.json);
    }
}

TEST_CASE("what is not known, or does not go together, is a usage error", "[master]") {
    const auto words = GENERATE(
        std::vector<const char*>{"bottom"}, std::vector<const char*>{"-x"},
        std::vector<const char*>{"top", "--interval", "0"}, std::vector<const char*>{"top", "status"},
        std::vector<const char*>{"loglevel"}, std::vector<const char*>{"loglevel", "loud"},
        std::vector<const char*>{"worker"}, std::vector<const char*>{"worker", "restart"},
        std::vector<const char*>{"worker", "restart", "x"}, std::vector<const char*>{"-s"},
        std::vector<const char*>{"-s", "restart"}, std::vector<const char*>{"-c"},
        std::vector<const char*>{"-t", "-T"}, std::vector<const char*>{"-t", "-s", "stop"},
        std::vector<const char*>{"-t", "status"}, std::vector<const char*>{"--json"},
        std::vector<const char*>{"status", "extra"});
    CAPTURE(words[0], words.size());
    const auto parsed = parse(words);
    REQUIRE(std::holds_alternative<master::Leave>(parsed));
    CHECK(std::get<master::Leave>(parsed).status == 2);
}

TEST_CASE("help is no error", "[master]") {
    for (const char* word : {"-h", "--help"}) CHECK(std::get<master::Leave>(parse({word})).status == 0);
}

TEST_CASE("commands for a running master are said as it understands them", "[master]") {
    CHECK(asked({"loglevel", "debug"}).command == "loglevel debug");
    CHECK(asked({"worker", "restart", "3", "--control", "/x"}).command == "worker restart 3");
    CHECK(asked({"worker", "restart", "3", "--control", "/x"}).control == "/x");
    const auto top = asked({"top", "--interval", "0.5", "--count", "3"});
    CHECK(top.action == Action::top);
    CHECK(top.top_interval == 0.5);
    CHECK(top.top_frames == 3);
}
