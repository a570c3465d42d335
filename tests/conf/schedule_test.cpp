// tests/conf/schedule_test.cpp: [schedule] as it is written, and every complaint.
#include "conf/schedule_types.h"
#include "conf/settings.h"
#include "tests/conf/refused.h"
#include "tests/conf/temporary_folder.h"

using namespace conf;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

/// Six lines, a pool and a queue; what follows begins at line 7.
constexpr const char* before = "[pool p]\nrun = cgi ./job.sh\n[queue q]\npool = p\nkey_concurrency = 1\n\n";

Lines schedule_complaints(const std::string& lines) {
    return complaints(std::string(before) + "[schedule s]\n" + lines);
}
Lines schedule_advice(const std::string& lines) {
    return advice(std::string(before) + "[schedule s]\n" + lines);
}

Cron cron(const std::string& text) {
    const auto parsed = parse_cron(text);
    if (!parsed) FAIL(parsed.error());
    return *parsed;
}
std::string cron_complaint(const std::string& text) {
    const auto parsed = parse_cron(text);
    return parsed ? "it is one" : parsed.error();
}
template <class... Values>
std::uint64_t bits(Values... values) {
    return ((std::uint64_t{1} << values) | ... | 0);
}

}  // namespace

TEST_CASE("a schedule is what its lines say, and the rest has defaults", "[conf][schedule]") {
    const auto config = loaded(std::string(before) + R"([schedule nightly]
cron = 30  2 * * mon-fri
timezone = Europe/Berlin
queue = q
body = {"kind": "report"}
content_type = application/json
key = reports
priority = -5
missed = all
[schedule often]
every = 10m
queue = q
)");
    REQUIRE(config.schedules.size() == 2);
    const auto& nightly = config.schedules[0];
    CHECK(nightly.name == "nightly");
    CHECK(nightly.cron.text == "30 2 * * mon-fri");
    CHECK(nightly.timezone == "Europe/Berlin");
    CHECK(nightly.queue == "q");
    CHECK(nightly.body == R"({"kind": "report"})");
    CHECK(nightly.content_type == "application/json");
    CHECK(nightly.key == "reports");
    CHECK(nightly.priority == -5);
    CHECK(nightly.missed == Schedule::Missed::all);
    const auto& often = config.schedules[1];
    CHECK(often.every == 10min);
    CHECK(often.cron.text.empty());
    CHECK(often.timezone == "UTC");
    CHECK_FALSE(often.priority);
    CHECK(often.missed == Schedule::Missed::once);
    CHECK(loaded(dump(config)).schedules == config.schedules);
}

TEST_CASE("the five fields of a cron have lists, ranges, steps and names", "[conf][schedule]") {
    CHECK(cron("*/15 * * * *").minutes == bits(0, 15, 30, 45));
    CHECK(cron("1,5-7,50-59/4 * * * *").minutes == bits(1, 5, 6, 7, 50, 54, 58));
    CHECK(cron("* 0,23 * * *").hours == bits(0, 23));
    CHECK(cron("* * 1,31 * *").days == bits(1, 31));
    CHECK(cron("* * * jan,MAR-May *").months == bits(1, 3, 4, 5));
    CHECK(cron("* * * * 0").weekdays == bits(0));
    CHECK(cron("* * * * 7").weekdays == bits(0));
    CHECK(cron("* * * * sun").weekdays == bits(0));
    CHECK(cron("* * * * fri-sun").weekdays == bits(0, 5, 6));
    CHECK(cron("* * * * 5-7").weekdays == bits(0, 5, 6));
    CHECK(cron("* * * * *").weekdays == bits(0, 1, 2, 3, 4, 5, 6));
    CHECK(cron("5 * * * *").is_every_hour());
    CHECK(cron("5 */1 * * *").is_every_hour());
    CHECK_FALSE(cron("5 */2 * * *").is_every_hour());
}

TEST_CASE("short forms are what they stand for", "[conf][schedule]") {
    const std::vector<std::pair<std::string, std::string>> forms{
        {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@Midnight", "0 0 * * *"},
        {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 1 *"}};
    for (const auto& [form, means] : forms) {
        auto one = cron(form), other = cron(means);
        CHECK(one.text == lower_case(form));
        one.text = other.text;
        CHECK(one == other);
    }
}

TEST_CASE("a day of the month or of the week counts where both are restricted", "[conf][schedule]") {
    CHECK(cron("0 0 13 * 5").is_day(13, 1));
    CHECK(cron("0 0 13 * 5").is_day(1, 5));
    CHECK_FALSE(cron("0 0 13 * 5").is_day(1, 1));
    CHECK_FALSE(cron("0 0 13 * *").is_day(12, 5));
    CHECK_FALSE(cron("0 0 * * 5").is_day(13, 1));
    CHECK_FALSE(cron("0 0 */2 * 5").is_day(1, 1));  // begins with `*`: both must fit
    CHECK(cron("0 0 */2 * 5").is_day(1, 5));
}

TEST_CASE("what is no cron is refused with the reason", "[conf][schedule]") {
    CHECK(cron_complaint("* * * *").find("has not five fields") != std::string::npos);
    CHECK(cron_complaint("* * * * * *").find("has not five fields") != std::string::npos);
    CHECK(cron_complaint("").find("has not five fields") != std::string::npos);
    CHECK(cron_complaint("60 * * * *") == "\"60\" is not a minute, 0 to 59");
    CHECK(cron_complaint("* 24 * * *") == "\"24\" is not an hour, 0 to 23");
    CHECK(cron_complaint("* * 0 * *") == "\"0\" is not a day of the month, 1 to 31");
    CHECK(cron_complaint("* * * foo *") == "\"foo\" is not a month, 1 to 12, jan to dec");
    CHECK(cron_complaint("* * * * 8") == "\"8\" is not a day of the week, 0 to 7, sun to sat");
    CHECK(cron_complaint("*/0 * * * *") == "\"0\" is not a step, 1 to 59");
    CHECK(cron_complaint("*/90 * * * *") == "\"90\" is not a step, 1 to 59");
    CHECK(cron_complaint("5/15 * * * *").find("a step follows `*` or a range") != std::string::npos);
    CHECK(cron_complaint("9-5 * * * *") == "\"9-5\": the smaller one stands first");
    CHECK(cron_complaint("0 0 30 2 *").find("no month of these has such a day") != std::string::npos);
    CHECK(cron_complaint("0 0 31 4,6 *").find("no month of these has such a day") != std::string::npos);
    CHECK(cron_complaint("@reboot").find("is none of @hourly") != std::string::npos);
    for (const char* text :
         {", * * * *", "1, * * * *", "- * * * *", "*-5 * * * *", "1- * * * *", "/5 * * * *", "+1 * * * *",
          "1-5/ * * * *", "1/2/3 * * * *", "? * * * *", "* * * * mon#1", "* * L * *", "99999999999 * * * *"})
        CHECK(cron_complaint(text) != "it is one");
    CHECK(cron_complaint(std::string(300, '*')).find("has 300 characters") != std::string::npos);
    CHECK(cron_complaint("0 0 29 2 *") == "it is one");
    CHECK(cron_complaint("0 0 30 2 1") == "it is one");  // on Mondays of February
}

TEST_CASE("a schedule that cannot be is refused where it stands", "[conf][schedule]") {
    CHECK(schedule_complaints("queue = q\ncron = * * * * *\n").empty());
    CHECK(schedule_complaints("queue = q\n") ==
          Lines{"t:7: [schedule s] has neither cron nor every: it is never due"});
    CHECK(schedule_complaints("queue = q\ncron = @daily\nevery = 1h\n") ==
          Lines{"t:10: every: [schedule s] has a cron already"});
    CHECK(schedule_complaints("cron = @daily\n") == Lines{"t:7: [schedule s] has no queue for its jobs"});
    CHECK(schedule_complaints("cron = @daily\nqueue = p\n")
              .at(0)
              .starts_with("t:9: queue: there is no [queue p]"));
    CHECK(schedule_complaints("queue = q\ncron = @daily\nbody = x\nbody_file = /etc/passwd\n") ==
          Lines{"t:11: body_file: [schedule s] has a body already"});
    CHECK(schedule_complaints("queue = q\ncron = @daily\ntimezone = Mars/Olympus\n") ==
          Lines{"t:10: timezone: \"Mars/Olympus\" is no time zone that this machine knows (tzdata): "
                "Europe/Berlin, UTC"});
    for (const char* zone : {"../../etc/passwd", "/etc/localtime", "Europe/../UTC", "file:UTC", "berlin"})
        CHECK(
            schedule_complaints("queue = q\ncron = @daily\ntimezone = " + std::string(zone) + "\n").size() ==
            1);
    CHECK(schedule_complaints("queue = q\nevery = 10ms\n").size() == 1);
    CHECK(schedule_complaints("queue = q\ncron = @daily\nmissed = maybe\n").size() == 1);
    CHECK(schedule_complaints("queue = q\ncron = @daily\npriority = 101\n").size() == 1);
    CHECK(complaints("[schedule]\ncron = @daily\n").at(0) == "t:1: [schedule] needs a name: [schedule NAME]");
}

TEST_CASE("a file that is no body is refused where the server is to run", "[conf][schedule]") {
    const TemporaryFolder folder;
    const auto load_with = [&](const std::string& file) {
        return load(
            folder.write("reeve.ini", std::string("[pool p]\nrun = cgi /bin/cat\n[queue q]\npool = p\n") +
                                          "job_size_max = 10\n[schedule s]\nqueue = q\ncron = @daily\n" +
                                          "body_file = " + file + "\n"));
    };
    (void)folder.write("good", "0123456789");
    (void)folder.write("large", "0123456789a");
    CHECK(load_with("good"));
    for (const char* file : {"large", "missing", "."}) {
        const auto refused = load_with(file);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().at(0).text().find(":9: body_file: ") != std::string::npos);
    }
}

TEST_CASE("what a schedule says in vain is advised against", "[conf][schedule]") {
    const auto has = [](const Lines& lines, std::string_view what) {
        return std::any_of(lines.begin(), lines.end(),
                           [&](const auto& line) { return line.find(what) != std::string::npos; });
    };
    CHECK(has(schedule_advice("queue = q\nevery = 1h\ntimezone = Europe/Berlin\n"),
              "t:10: timezone: means nothing to every"));
    CHECK_FALSE(has(schedule_advice("queue = q\ncron = @daily\n"), "no route leads to [queue q]"));
    CHECK(
        has(advice("[pool p]\nrun = cgi ./job.sh\n[queue q]\npool = p\n[schedule s]\nqueue = q\nevery = 1h\n"
                   "key = k\n"),
            "t:8: key: means nothing"));
}
