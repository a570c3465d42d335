// worker/upstream/places.h: which place each address of a name has.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "ipc/name_cell.h"

namespace worker::upstream {

struct Placed {
    std::vector<ipc::NameAddress> places;  ///< as many as before
    std::size_t left_over = 0;             ///< addresses for which there is no place
};

/// Pure. Addresses that were there keep their places; `keep`: also those that are not among `found`.
[[nodiscard]] inline Placed place_addresses(std::vector<ipc::NameAddress> places,
                                            std::span<const ipc::NameAddress> found, bool keep) {
    const auto same = [](const ipc::NameAddress& one) {
        return [&one](const ipc::NameAddress& other) { return other && other.same_peer(one); };
    };
    for (auto& place : places) {
        if (!place) continue;
        const auto now = std::find_if(found.begin(), found.end(), same(place));
        if (now != found.end())
            place = *now;  // its weight may be another
        else if (!keep)
            place = {};
    }
    Placed placed{std::move(places), 0};
    auto free = placed.places.begin();
    for (const auto& address : found) {
        if (std::any_of(placed.places.begin(), placed.places.end(), same(address))) continue;
        free = std::find_if(free, placed.places.end(), [](const auto& place) { return !place; });
        if (free == placed.places.end())
            ++placed.left_over;
        else
            *free = address;
    }
    return placed;
}

}  // namespace worker::upstream
