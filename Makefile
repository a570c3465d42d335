# make            build the program at build/reeve (release: -O2, hardened, warnings are errors)
# make run        install what is missing, build, serve conf/reeve.ini on http://127.0.0.1:8080
# make test       install what is missing, build, run all tests
# make test-models the tests on the real server, under each execution model; MODEL_TESTS=[tag] for some of them
# make units      the unit tests alone; make integration: those on the real server alone
# make asan       all tests under AddressSanitizer and UndefinedBehaviorSanitizer
# make tsan       all tests under ThreadSanitizer
# make fuzz       every fuzz target for FUZZ_SECONDS (default 60) each
# make bench      reeve beside nginx and a raw epoll responder; writes docs/BENCHMARKS.md
# make bench-jobs enqueues beside the disk's own limit and beanstalkd
# make tidy       clang-tidy over the sources
# make format     clang-format over the sources; make format-check only complains
# make check      what must pass before a push: format-check, test, asan, tsan, tidy
# make examples   build/examples: modules and programs to begin with, and a configuration for all of them
# make install    into $(DESTDIR)$(PREFIX) (default /usr/local), configuration in /etc/reeve unless there is one
# make deps       install missing Debian packages; quiet when nothing is missing
# make clean      remove build/
# make help       this list

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash

VERSION := 0.1.0
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
BENCH_ARGS ?=
TEST_ARGS ?=
VARIANT ?= release
JOBS ?= $(shell nproc)
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(JOBS)
endif

OUT := build/$(VARIANT)
PACKAGES := libevent libevent_pthreads inih spdlog re2 libseccomp libcares sqlite3 libpq libcrypto

# what each variant adds; with these two sanitizers optimising takes longer than running unoptimised
OPTIMISE_release := -O2 -g1 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fno-plt
OPTIMISE_asan := -O0 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
OPTIMISE_tsan := -O1 -g1 -fno-omit-frame-pointer -fsanitize=thread
OPTIMISE_fuzz := -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LINK_release := -Wl,-z,relro,-z,now -Wl,--as-needed
LINK_asan := -fsanitize=address,undefined
LINK_tsan := -fsanitize=thread
LINK_fuzz := -fsanitize=address,undefined

# clang needs half of g++'s time for asan; its tsan does not get over a fork
CXX := $(if $(filter asan fuzz,$(VARIANT)),clang++,g++)
CC := $(if $(filter asan fuzz,$(VARIANT)),clang,gcc)
OPTIMISE := $(OPTIMISE_$(VARIANT))
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor -Werror
# tsan does not model fences, which libstdc++ and fmt mention; and with what it adds g++ 12 sees uninitialised
# values inside the standard library
WARN += $(if $(filter tsan,$(VARIANT)),-Wno-tsan -Wno-maybe-uninitialized)
LLHTTP := /usr/share/llhttp
LLHTTP_INCLUDE := /usr/share/include/llhttp
SYSTEM_INCLUDE = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PACKAGES))) -isystem $(LLHTTP_INCLUDE)
CXXFLAGS = -std=c++20 -pipe -fPIE -pthread $(OPTIMISE) $(WARN) -I. $(SYSTEM_INCLUDE) $(STRICT) -DREEVE_VERSION='"$(VERSION)"'
# llhttp is loose about line ends unless it is told not to be, here and where its header is read
STRICT := -DLLHTTP_STRICT_MODE=1
CFLAGS = -std=c11 -pipe -fPIE $(OPTIMISE) $(STRICT) -w -I$(LLHTTP_INCLUDE)
# names for backtraces
LDFLAGS = -pthread -pie -Wl,-z,relro,-z,now -rdynamic $(LINK_$(VARIANT))
# cctz, time zones, has no pkg-config file in Debian
LDLIBS = $(shell pkg-config --libs $(PACKAGES)) -lcctz
CXXFLAGS := $(CXXFLAGS)
LDLIBS := $(LDLIBS)
# Tests run once: what they test is optimised, they are not.
TEST_CXXFLAGS := $(filter-out -O1 -O2 -D_FORTIFY_SOURCE=2,$(CXXFLAGS)) -O0

SOURCES := $(filter-out master/main.cpp,$(sort $(shell find conf ipc master worker -name '*.cpp')))
UNIT_TESTS := $(sort $(shell find tests/conf tests/ipc tests/master tests/worker -name '*_test.cpp')) tests/main.cpp
# threads are in workers, and in what these share with the master
ifeq ($(VARIANT),tsan)
UNIT_TESTS := $(filter tests/ipc/%,$(UNIT_TESTS)) $(shell grep -l thread $(filter tests/worker/%,$(UNIT_TESTS))) tests/main.cpp
# and a loop that asks upstreams or sends files has no more of them than one that does not
INTEGRATION_ARGS := "~[proxy]~[files]~[bytes]"
endif
INTEGRATION_TESTS := $(sort $(wildcard tests/integration/*.cpp)) tests/main.cpp
FUZZERS := $(sort $(wildcard tests/fuzz/*_fuzz.cpp))
ALL_CODE = $(shell find conf ipc master worker tests -name '*.cpp' -o -name '*.h')

objects = $(patsubst %.cpp,$(OUT)/%.o,$(1))

# What is compiled as a whole and not edited in between (a fresh clone, sanitizers, fuzzers, clang-tidy) is compiled
# up to 25 files of a folder at a time, so that most of the time does not go into reading the same headers. Files of
# a folder may therefore not have the same name for different things in their unnamed namespaces. Who works on the
# code says `make BATCH=no` once: from then on each file of the release is compiled by itself.
BATCH ?= $(if $(wildcard $(OUT)/conf/load.o),no,yes)
in_batches := $(or $(filter-out release,$(VARIANT)),$(filter yes,$(BATCH)))
in_folder = $(foreach source,$(SOURCES),$(if $(filter $(1),$(dir $(source))),$(source)))
define add_batch
ifneq ($(2),)
BATCHES += $(1)
$(1): force
	@mkdir -p $$(@D)
	@printf '#include "%s"  // NOLINT(bugprone-suspicious-include)\n' $(2) | cmp -s - $$@ || \
	  printf '#include "%s"  // NOLINT(bugprone-suspicious-include)\n' $(2) > $$@
endif
endef
BATCHES :=
$(foreach folder,$(sort $(dir $(SOURCES))),$(foreach part,1:25 26:50 51:75 76:100, \
  $(eval $(call add_batch,$(OUT)/batch/$(subst /,_,$(folder))$(firstword $(subst :, ,$(part))).cpp,$(wordlist \
  $(firstword $(subst :, ,$(part))),$(lastword $(subst :, ,$(part))),$(call in_folder,$(folder)))))))
.PHONY: force
LIBRARY := $(OUT)/libreeve.a
LLHTTP_OBJECTS := $(OUT)/llhttp/llhttp.o $(OUT)/llhttp/api.o $(OUT)/llhttp/http.o
# drives the program from outside, so one build of it serves all variants
INTEGRATION := build/release/integration
PROGRAM := $(if $(filter release,$(VARIANT)),build/reeve,$(OUT)/reeve)

.PHONY: all run test test-models units integration asan tsan release-build asan-build tsan-build fuzz fuzz-build bench bench-jobs tidy format format-check check install deps clean help program tests
all: program
program: $(PROGRAM)
tests: $(OUT)/units $(INTEGRATION)

help:
	@sed -n 's/^# make/make/p' Makefile

# ---- delivery -----------------------------------------------------------------------------------

DEPS_BUILD := g++ make pkg-config libevent-dev libinih-dev libspdlog-dev libfmt-dev libre2-dev \
	libexpected-dev libcli11-dev nlohmann-json3-dev node-llhttp libseccomp-dev libc-ares-dev libsqlite3-dev \
	libpq-dev libssl-dev libcctz-dev tzdata
DEPS_TEST := catch2 curl brotli zstd systemd logrotate php-cgi libfcgi-dev postgresql
DEPS_CLANG := clang clang-tidy clang-format libclang-rt-14-dev
DEPS_BENCH := nginx-light apache2-utils nghttp2-client python3 gnuplot-nox iproute2 procps beanstalkd

define install_missing
	@missing=""; for package in $(1); do \
	  dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  echo "installing Debian packages:$$missing"; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null || \
	  { echo "could not install:$$missing" >&2; exit 1; }; \
	fi
endef

deps:
	$(call install_missing,$(DEPS_BUILD) $(DEPS_TEST))
deps-clang:
	$(call install_missing,$(DEPS_CLANG))
deps-bench:
	$(call install_missing,$(DEPS_BUILD) $(DEPS_BENCH))
.PHONY: deps-clang deps-bench

# Prometheus's checker, taken out of its package: installing that would start a server.
PROMTOOL := build/tools/promtool
$(PROMTOOL):
	@mkdir -p $(@D)
	@echo "fetch $@"
	@cd $(@D) && { apt-get download -qq prometheus >/dev/null 2>&1 || { \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; $$sudo apt-get update -qq && apt-get download -qq prometheus >/dev/null; }; } && \
	  dpkg-deb --fsys-tarfile prometheus_*.deb | tar x --strip-components=3 ./usr/bin/promtool && \
	  rm prometheus_*.deb && touch promtool

# A program that speaks FastCGI by libfcgi.
FCGI_ECHO := build/tools/fcgi_echo
$(FCGI_ECHO): tests/integration/programs/fcgi_echo.c
	@mkdir -p $(@D)
	@echo "cc    $<"
	@gcc -O2 -Wall -Wextra -o $@ $< -lfcgi

# Modules, as whoever uses reeve would compile them; with the sanitizer of who loads them.
MODULES := $(OUT)/modules
MODULE_SOURCES := $(sort $(wildcard tests/integration/modules/*.cpp))
MODULE_OBJECTS := $(patsubst %.cpp,$(MODULES)/%.so,$(notdir $(MODULE_SOURCES)))
MODULE_FLAGS := -std=c++20 -fPIC -fvisibility=hidden -shared $(OPTIMISE) $(WARN)
$(MODULES)/%.so: tests/integration/modules/%.cpp worker/module/reeve.h
	@mkdir -p $(@D)
	@echo "so    $<"
	@$(CXX) $(MODULE_FLAGS) -I. -o $@ $<

# What whoever writes modules needs, as it is installed; the examples are built with it, and so try it.
define install_header
	@install -D -m 644 worker/module/reeve.h $(1)$(2)/include/reeve/module.h
	@install -d $(1)$(2)/share/pkgconfig
	@printf '%s\n' 'prefix=$(2)' 'Name: reeve' 'Description: modules for the HTTP server reeve' 'Version: $(VERSION)' \
	  'Cflags: -std=c++20 -fPIC -fvisibility=hidden -I$${prefix}/include' > $(1)$(2)/share/pkgconfig/reeve.pc
endef
EXAMPLES := build/examples
EXAMPLE_MODULES := $(patsubst docs/examples/%.cpp,$(EXAMPLES)/%.so,$(sort $(wildcard docs/examples/*.cpp)))
EXAMPLE_FILES := $(patsubst docs/examples/%,$(EXAMPLES)/%,$(sort $(filter-out %.cpp,$(wildcard docs/examples/*))))
.PHONY: examples
examples: $(EXAMPLE_MODULES) $(EXAMPLE_FILES)
build/sdk/share/pkgconfig/reeve.pc: worker/module/reeve.h
	$(call install_header,,$(abspath build/sdk))
$(EXAMPLES)/%.so: docs/examples/%.cpp build/sdk/share/pkgconfig/reeve.pc
	@mkdir -p $(@D)
	@echo "so    $<"
	@g++ $$(PKG_CONFIG_PATH=build/sdk/share/pkgconfig pkg-config --cflags reeve) -O2 $(WARN) -shared -o $@ $<
$(EXAMPLE_FILES): $(EXAMPLES)/%: docs/examples/%
	@install -D $< $@

# A second make reads pkg-config anew, after deps has installed what it reads.
run: deps
	@$(MAKE) program
	@mkdir -p build/run
	@exec build/reeve -c conf/reeve.ini

test: deps
	@$(MAKE) program tests
	@$(MAKE) -j2 -Otarget units integration

units: $(OUT)/units
	@$(OUT)/units $(TEST_ARGS)
integration: $(INTEGRATION) $(PROGRAM) $(PROMTOOL) $(FCGI_ECHO) $(MODULE_OBJECTS) examples
	@MODULES=$(abspath $(MODULES)) EXAMPLES=$(abspath $(EXAMPLES)) REEVE=$(abspath $(PROGRAM)) REEVE_SANITIZER=$(filter asan tsan,$(VARIANT)) PROMTOOL=$(abspath $(PROMTOOL)) \
	  FCGI_ECHO=$(abspath $(FCGI_ECHO)) \
	  $(INTEGRATION) $(or $(TEST_ARGS),$(INTEGRATION_ARGS))

# Under each execution model, but for tests that are about what a model rules out: those say so by a tag.
#   [knobs]        it sets the knobs of [execution] itself: it is the same under all
#   [concurrent]   requests that are served while another one is not over
#   [many]         more of these at once than a pool has executors
#   [one-loop]     what a loop keeps for its next client: connections to peers, open files, budgets
#   [inline]       handlers that run on the loop
#   [one-process]  a process with several clients
MODEL_TESTS ?= [integration]
UNDER_single := ~[concurrent]~[many]
UNDER_acceptor := ~[concurrent]~[many]~[one-loop]
UNDER_pool := ~[many]~[one-loop]
UNDER_readers := ~[one-loop]
UNDER_message := ~[one-loop]~[inline]
UNDER_threads := ~[one-loop]
UNDER_event :=
UNDER_process := ~[many]~[one-loop]~[one-process]
MODELS := single acceptor pool readers message threads event process
test-models: deps
	@$(MAKE) program tests
	@$(MAKE) $(addprefix test-model-,$(MODELS))
test-model-%: $(INTEGRATION) $(PROGRAM) $(PROMTOOL) $(FCGI_ECHO) $(MODULE_OBJECTS) examples
	@mkdir -p $(OUT)/models
	@MODULES=$(abspath $(MODULES)) EXAMPLES=$(abspath $(EXAMPLES)) REEVE_MODEL=$* REEVE=$(abspath $(PROGRAM)) REEVE_SANITIZER=$(filter asan tsan,$(VARIANT)) \
	  PROMTOOL=$(abspath $(PROMTOOL)) FCGI_ECHO=$(abspath $(FCGI_ECHO)) \
	  $(INTEGRATION) "$(MODEL_TESTS)~[knobs]$(UNDER_$*)" > $(OUT)/models/$*.log 2>&1; \
	  status=$$?; echo "== model $*"; cat $(OUT)/models/$*.log; exit $$status

# what these steps run, built and not run
release-build: deps
	@$(MAKE) program tests
asan-build tsan-build: deps deps-clang
	@$(MAKE) VARIANT=$(@:-build=) program tests

asan tsan: deps deps-clang
	@$(MAKE) VARIANT=$@ program tests
	@$(MAKE) -j2 -Otarget VARIANT=$@ units integration

fuzz: deps deps-clang
	@$(MAKE) VARIANT=fuzz fuzz-build
	@for target in $(FUZZERS); do name=$$(basename $$target .cpp); \
	  mkdir -p build/fuzz/found/$$name tests/fuzz/corpus/$$name; \
	  echo "== $$name, $(FUZZ_SECONDS) s"; \
	  build/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
	    -artifact_prefix=build/fuzz/found/$$name- build/fuzz/found/$$name tests/fuzz/corpus/$$name || exit 1; \
	done
fuzz-build: $(patsubst tests/fuzz/%.cpp,$(OUT)/%,$(FUZZERS))

bench: deps deps-bench
	@$(MAKE) program build/bench/raw_epoll build/bench/generator $(FCGI_ECHO)
	@python3 tests/bench/run.py --reeve build/reeve --raw build/bench/raw_epoll --generator build/bench/generator $(BENCH_ARGS)
bench-jobs: deps deps-bench
	@$(MAKE) program build/bench/enqueue build/bench/slow_sync.so
	@python3 tests/bench/jobs.py --reeve build/reeve --enqueue build/bench/enqueue --slow-sync build/bench/slow_sync.so $(BENCH_ARGS)
build/bench/enqueue: tests/bench/enqueue.cpp
	@mkdir -p $(@D)
	g++ -std=c++20 -O2 -Wall -Wextra -o $@ $< -lsqlite3
build/bench/slow_sync.so: tests/bench/slow_sync.c
	@mkdir -p $(@D)
	gcc -O2 -Wall -Wextra -fPIC -shared -o $@ $<
build/bench/%: tests/bench/%.cpp
	@mkdir -p $(@D)
	g++ -std=c++20 -O2 -Wall -Wextra -o $@ $<

# (the version is a string in quotes, which would not survive the shells in between)
TIDY_FLAGS = -std=c++20 -pthread -I. $(SYSTEM_INCLUDE) $(STRICT) -DREEVE_VERSION=__FILE__
tidy: deps deps-clang $(BATCHES)
	@printf '%s\n' $(BATCHES) master/main.cpp | xargs -P $(JOBS) -n 1 \
	  sh -c 'clang-tidy --quiet "$$@" -- $(TIDY_FLAGS) 2>/dev/null' clang-tidy
format: deps-clang
	@clang-format -i $(ALL_CODE)
format-check: deps-clang
	@clang-format --dry-run -Werror $(ALL_CODE)

check:
	@$(MAKE) format-check
	@$(MAKE) test
	@$(MAKE) asan
	@$(MAKE) tsan
	@$(MAKE) tidy

install: program
	install -D -m 755 build/reeve $(DESTDIR)$(PREFIX)/sbin/reeve
	install -d $(DESTDIR)$(PREFIX)/share/reeve/site $(DESTDIR)/etc/reeve $(DESTDIR)/var/log/reeve
	install -m 644 conf/site/* $(DESTDIR)$(PREFIX)/share/reeve/site/
	@echo "make $(DESTDIR)$(PREFIX)/share/pkgconfig/reeve.pc"
	$(call install_header,$(DESTDIR),$(PREFIX))
	@[ -e $(DESTDIR)/etc/reeve/reeve.ini ] || { echo "make $(DESTDIR)/etc/reeve/reeve.ini"; \
	  sed -e 's|\.\./build/run/access\.log|/var/log/reeve/access.log|' -e 's|\.\./build/run/|/run/|' \
	    -e 's|^files = site$$|files = $(PREFIX)/share/reeve/site|' \
	    -e 's|`make run` serves|reeve serves by default|' conf/reeve.ini > $(DESTDIR)/etc/reeve/reeve.ini; }
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/reeve/README.md
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)/etc/logrotate.d
	for unit in reeve.service reeve.socket; do sed 's|/usr/local/|$(PREFIX)/|' docs/systemd/$$unit > \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	[ -e $(DESTDIR)/etc/logrotate.d/reeve ] || sed 's|/usr/local/|$(PREFIX)/|' docs/logrotate/reeve > $(DESTDIR)/etc/logrotate.d/reeve

clean:
	rm -rf build

# ---- objects ------------------------------------------------------------------------------------

$(PROGRAM): $(OUT)/master/main.o $(LIBRARY)
	@echo "link  $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIBRARY): $(if $(in_batches),$(BATCHES:.cpp=.o),$(call objects,$(SOURCES))) $(LLHTTP_OBJECTS)
	@rm -f $@
	@ar rcs $@ $^

$(OUT)/units: $(call objects,$(UNIT_TESTS)) $(LIBRARY)
	@echo "link  $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)
ifeq ($(VARIANT),release)
$(INTEGRATION): $(call objects,$(INTEGRATION_TESTS)) $(LIBRARY)
	@echo "link  $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)
else
$(INTEGRATION): force
	@$(MAKE) VARIANT=release $@
endif
$(OUT)/%_fuzz: $(OUT)/tests/fuzz/%_fuzz.o $(LIBRARY)
	@echo "link  $@"
	@$(CXX) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# large headers of libraries, compiled once; the tests have Catch2's too
PCH := -x c++-header $(if $(filter clang++,$(CXX)),-fpch-instantiate-templates)
$(OUT)/ipc/pch.h.gch: ipc/pch.h Makefile
	@mkdir -p $(@D)
	@echo "pch   $<"
	@$(CXX) $(CXXFLAGS) $(PCH) -o $@ $<
$(OUT)/tests/pch.h.gch: tests/pch.h ipc/pch.h Makefile
	@mkdir -p $(@D)
	@echo "pch   $<"
	@$(CXX) $(TEST_CXXFLAGS) $(PCH) -o $@ $<
$(OUT)/tests/%.o: tests/%.cpp $(OUT)/tests/pch.h.gch Makefile
	@mkdir -p $(@D)
	@echo "c++   $<"
	@$(CXX) $(TEST_CXXFLAGS) -include $(OUT)/tests/pch.h -MMD -MP -c -o $@ $<
# but for these, which make its main (and need no watching), or have no Catch2 in them
$(OUT)/tests/main.o: tests/main.cpp Makefile
	@mkdir -p $(@D)
	@echo "c++   $<"
	@$(CXX) $(filter-out -fsanitize%,$(TEST_CXXFLAGS)) -MMD -MP -c -o $@ $<
$(OUT)/tests/fuzz/%.o: tests/fuzz/%.cpp Makefile
	@mkdir -p $(@D)
	@echo "c++   $<"
	@$(CXX) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/batch/%.o: $(OUT)/batch/%.cpp $(OUT)/ipc/pch.h.gch Makefile
	@echo "c++   $*"
	@$(CXX) $(CXXFLAGS) -Wno-shadow $(if $(filter g++,$(CXX)),-Wno-subobject-linkage) -include $(OUT)/ipc/pch.h -MMD -MP -c -o $@ $<
$(OUT)/%.o: %.cpp $(OUT)/ipc/pch.h.gch Makefile
	@mkdir -p $(@D)
	@echo "c++   $<"
	@$(CXX) $(CXXFLAGS) -include $(OUT)/ipc/pch.h -MMD -MP -c -o $@ $<
$(OUT)/llhttp/%.o: $(LLHTTP)/%.c Makefile
	@mkdir -p $(@D)
	@echo "cc    $<"
	@$(CC) $(CFLAGS) $(if $(filter release,$(VARIANT)),-O3) -c -o $@ $<
.SECONDARY:

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
