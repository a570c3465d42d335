// tests/main.cpp: Catch2's own main, for both test programs.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
