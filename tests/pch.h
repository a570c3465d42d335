// tests/pch.h: what every test includes, compiled once a variant.

#include <catch2/catch.hpp>

#include "ipc/pch.h"
