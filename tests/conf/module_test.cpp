// [module NAME], routes and pools that name one, and what is wrong with them.
#include <catch2/catch.hpp>

#include "conf/load.h"
#include "conf/module.h"

namespace {

std::string complaints(const std::string& text) {
    const auto loaded = conf::load_text(text, "f");
    std::string all;
    if (!loaded)
        for (const auto& error : loaded.error()) all += error.text() + "\n";
    return all;
}

}  // namespace

TEST_CASE("a module has a path, options, and routes that name its handlers", "[conf]") {
    const auto loaded = conf::load_text(
        "[module m]\npath = /x/m.so\noption = key=a b\noption = other=\n"
        "[route r]\nmodule = m/handler\ntimeout = 5s\n[route s]\npath = /s\nmodule = m\n"
        "[pool p]\nrun = module m compute\n[pool q]\nrun = module /y/n.so\n",
        "f");
    REQUIRE(loaded);
    const auto& config = loaded->config;
    REQUIRE(config.modules.size() == 1);
    CHECK(config.modules[0].path == "/x/m.so");
    CHECK(config.modules[0].options == std::vector<conf::Variable>{{"key", "a b"}, {"other", ""}});
    CHECK(config.routes[0].handler == conf::Route::Handler::module);
    CHECK(config.routes[0].module == conf::ModuleUse{"m", "handler"});
    CHECK(config.routes[1].module == conf::ModuleUse{"m", ""});
    CHECK(conf::module_of(config.pools[0], config.modules).path == "/x/m.so");
    CHECK(conf::module_handler_of(config.pools[0]) == "compute");
    CHECK(conf::module_of(config.pools[1], config.modules).path == "/y/n.so");
    CHECK(conf::module_of(config.pools[1], config.modules).name == "n.so");
    const auto again = conf::load_text(conf::dump(config), "dump");
    REQUIRE(again);
    CHECK(again->config == config);
}

TEST_CASE("what names no module is refused where it stands", "[conf]") {
    CHECK(complaints("[route r]\nmodule = m\n") == "f:2: module: there is no [module m]\n");
    CHECK(complaints("[module mine]\npath = /m.so\n[route r]\nmodule = mien/x\n") ==
          "f:4: module: there is no [module mien]; did you mean `mine`?\n");
    CHECK(complaints("[pool p]\nrun = module m\n") == "f:2: run: there is no [module m]\n");
    CHECK(complaints("[pool p]\nrun = module\n") == "f:2: run: module of what? a module is missing\n");
    CHECK(complaints("[pool p]\nrun = module /m.so a b\n") ==
          "f:2: run: takes a module and the handler for requests\n");
    CHECK(complaints("[module m]\n") == "f:1: [module m] has no path\n");
    CHECK(complaints("[module m]\npath = /m\noption = a=1\noption = a=2\n") ==
          "f:4: option: a stands twice\n");
    CHECK(complaints("[module m]\npath = /m\n[route r]\nmodule = m/\n") ==
          "f:4: module: takes NAME or NAME/HANDLER\n");
}

TEST_CASE("workers have their sandbox while no module needs more", "[conf]") {
    const auto sandboxed = [](const std::string& text) {
        return conf::workers_are_sandboxed(conf::load_text(text, "f").value().config);
    };
    CHECK(sandboxed(""));
    CHECK(sandboxed("[module m]\npath = /m\n"));
    CHECK(sandboxed("[module m]\npath = /m\n[pool p]\nrun = module m\n"));
    CHECK_FALSE(sandboxed("[module m]\npath = /m\n[route r]\nmodule = m\n"));
    CHECK(sandboxed("[module m]\npath = /m\nsandbox = on\n[route r]\nmodule = m\n"));
    CHECK_FALSE(sandboxed("[reeve]\nsandbox = off\n[module m]\npath = /m\n"));
}
