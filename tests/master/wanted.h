// tests/master/wanted.h: what a master of a test reads as its configuration.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "conf/config.h"
#include "master/reading.h"

namespace test {

/// The configuration that it was started with, as changed by a file of lines `workers N`, `port N`,
/// `error TEXT`, `crash`, `hang`, `log PATH`, `generations N`. Without the file nothing is changed.
inline master::Read read_wanted(const std::string& path, const conf::Config& started) {
    conf::Config config = started;
    master::Read read;
    std::ifstream file(path);
    for (std::string word; file >> word;) {
        std::string value;
        if (word == "crash") std::abort();
        if (word == "hang") ::pause();
        std::getline(file >> std::ws, value);
        if (word == "error") read.errors.push_back(value);
        if (word == "workers") config.execution.workers = static_cast<std::uint32_t>(std::stoul(value));
        if (word == "port")
            config.servers[0].listen[0].address.port = static_cast<std::uint16_t>(std::stoul(value));
        if (word == "log") config.reeve.error_log.path = value;
        if (word == "generations")
            config.reeve.generations_max = static_cast<std::uint32_t>(std::stoul(value));
        if (word == "accept")
            config.execution.accept = value == "shared" ? conf::Accept::shared : conf::Accept::reuseport;
    }
    read.plan = master::make_plan(config);
    read.text = "of no interest to fake workers";
    return read;
}

}  // namespace test
