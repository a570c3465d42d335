// master/handover.h: what one master gives the next across exec, in a form that other versions understand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipc/result.h"
#include "ipc/scoreboard.h"
#include "ipc/unique_fd.h"
#include "master/keeper_socket.h"
#include "master/listeners.h"
#include "master/pid_file.h"
#include "master/unix_socket.h"

namespace master {

/// The environment variable that names the descriptor of the handover.
constexpr const char* handover_variable = "REEVE_UPGRADE";

/// What the next master is to have; only looked at.
struct Offer {
    std::uint32_t generation = 1;
    std::uint64_t started_ms = 0;
    const Listeners* listeners = nullptr;
    int board = -1;
    int pid_file = -1;  ///< -1: none
    std::string pid_file_path{};
    int control = -1;  ///< -1: none
    std::string control_path{};
    int keeper_listener = -1, keeper_address = -1;  ///< as in KeeperSocket; -1: none
    int report = -1;  ///< a pipe: the next master says here how its start went, as a daemon does
};

/// Bumped when who goes by the one before would do harm with what is handed over; it then refuses to start.
constexpr int handover_layout = 1;

/// A file in memory that tells of the offer. JSON: what one version does not know it skips, what it misses
/// it does without.
[[nodiscard]] ipc::Result<ipc::UniqueFd> write_handover(const Offer& offer);
/// The descriptors that must live on over exec.
[[nodiscard]] std::vector<int> handover_descriptors(const Offer& offer);

/// What a master was given. It owns all of it, but the files' names are the giver's until they are kept.
struct Inheritance {
    int pid = 0;                   ///< of the master before
    std::uint32_t generation = 0;  ///< its last one
    std::uint64_t started_ms = 0;
    Listeners listeners;
    std::optional<ipc::Scoreboard> board;  ///< none: it was of another layout
    std::optional<PidFile> pid_file;
    std::optional<KeeperSocket> keeper_socket;
    std::optional<UnixSocket> control;
    std::string control_path;
    ipc::UniqueFd report;
};

/// What the environment offers; none when nobody upgrades. Takes the variable out of the environment, and
/// makes every descriptor close-on-exec. Fails when the offer cannot be understood or is of another layout,
/// and says so to whoever made it.
[[nodiscard]] ipc::Result<std::optional<Inheritance>> receive_handover();

}  // namespace master
