# SPDX-License-Identifier: Apache-2.0
# clusterdns. `make help` lists the targets.

VERSION  := 0.1.0
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
PREFIX   ?= /usr/local
SANITIZE ?=
PYTHON   := /usr/bin/python3

# `make V=1` shows whole commands.
ifeq ($(V),)
.SILENT:
SAY = echo '  CC $@'
endif

# A sanitizer build has a folder of its own: build/, build/address-undefined/, build/thread/.
comma := ,
B := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

LIBS := libuv liburcu-memb libcurl jansson yaml-0.1 openssl libpcre2-8 libmicrohttpd gnutls libcrypt
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
HARDEN := -fPIE -fstack-protector-strong $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
OPT    := $(if $(SANITIZE),-O1 -fno-omit-frame-pointer,-O2)
CPPFLAGS += -Iinclude -Isrc -D_GNU_SOURCE -DCDNS_VERSION='"$(VERSION)"' -DCDNS_REVISION='"$(REVISION)"' \
            $(if $(findstring thread,$(SANITIZE)),-DCDNS_TSAN)
CFLAGS  ?= -g
CFLAGS  += -std=gnu17 $(OPT) $(WARN) $(HARDEN) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all)
LDFLAGS += -pie -Wl,-z,relro,-z,now -rdynamic $(if $(SANITIZE),-fsanitize=$(SANITIZE))
# Looked up when first used, so that targets that install the packages can run without them.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(LIBS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(LIBS)))$(PKG_LIBS)

SOURCES   := $(sort $(shell find src -name '*.c'))
LIBSRC    := $(filter-out src/main.c,$(SOURCES))
OBJECTS   := $(SOURCES:%.c=$B/obj/%.o)
LIBOBJ    := $(LIBSRC:%.c=$B/obj/%.o)
UNIT_SRC  := $(sort $(shell find test/unit -name 'test_*.c'))
UNIT_BIN  := $(UNIT_SRC:test/unit/%.c=$B/unit/%)
FUZZ_SRC  := $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ_BIN  := $(FUZZ_SRC:test/fuzz/%.c=$B/replay/%)
BENCH_SRC := $(sort $(wildcard bench/*.c))
BENCH_BIN := $(BENCH_SRC:bench/%.c=$B/bench/%)
DNSBENCH_SRC := $(sort $(wildcard bench/dnsbench/*.c))
DNSBENCH_LIB := $(patsubst %.c,$B/obj/%.o,$(filter-out bench/dnsbench/main.c,$(DNSBENCH_SRC)))
SHARED_SRC := $(sort $(wildcard examples/*.c test/plugins/*.c))
SHARED_BIN := $(SHARED_SRC:%.c=$B/%.so)

.PHONY: all help libs deps run test unit replay cases test-cluster lint format bench bench-scale bench-propagation bench-dnsbench fuzz install clean
all: $B/clusterdns $B/dnsbench

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

## make                  build build/clusterdns and build/dnsbench (needs the packages of `make deps`)
$B/clusterdns: $(OBJECTS)
	@mkdir -p $(@D)
	$(SAY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$B/libclusterdns.a: $(LIBOBJ)
	@rm -f $@ && $(AR) rcs $@ $^

$B/libdnsbench.a: $(DNSBENCH_LIB)
	@rm -f $@ && $(AR) rcs $@ $^

$B/dnsbench: $B/obj/bench/dnsbench/main.o $B/libdnsbench.a $B/libclusterdns.a
	$(SAY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

$B/obj/bench/dnsbench/%.o: CPPFLAGS += -Ibench

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	$(SAY)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The server that dnsbench's tests ask.
$B/simulated: test/dnsbench/simulated.c $B/libclusterdns.a
	$(SAY)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $B/libclusterdns.a $(PKG_LIBS)

# Plugins that a Corefile loads. They take what they need from the program.
$B/%.so: %.c
	@mkdir -p $(@D)
	$(SAY)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -fPIC -shared -MMD -MP -MF $@.d -o $@ $<

# For tools/lint and tools/fuzz.
libs:
	@echo $(LIBS)

## make deps             install the Debian packages that building and testing need (root, or through sudo)
deps:
	@tools/deps

## make run              install what is missing, build, serve zones/example-cluster on 127.0.0.1:1053
run:
	@tools/deps build run
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tools/run $B/clusterdns

## make test             install what is missing, build, run unit tests, fuzz corpora and cases
test: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all unit replay
	@$(MAKE) --no-print-directory cases

# What is tested beside the server's library.
$B/unit/dnsbench/%: TESTED = $B/libdnsbench.a
$B/unit/%: test/unit/%.c $B/libdnsbench.a $B/libclusterdns.a
	@mkdir -p $(@D)
	$(SAY)
	$(CC) $(CPPFLAGS) -Itest/unit -Ibench $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(TESTED) $B/libclusterdns.a $(PKG_LIBS) -lcmocka -lldns -lm

## make unit replay cases
##                       the parts of `make test`, which install nothing
unit: $(UNIT_BIN)
	@failed=; for t in $(UNIT_BIN); do echo "== $$t"; $$t || failed="$$failed $$t"; done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

# Each fuzz target with a main() that replays its corpus.
$B/replay/%: test/fuzz/%.c test/fuzz/replay.c $B/libdnsbench.a $B/libclusterdns.a
	@mkdir -p $(@D)
	$(SAY)
	$(CC) $(CPPFLAGS) -Ibench $(PKG_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< test/fuzz/replay.c $B/libdnsbench.a $B/libclusterdns.a $(PKG_LIBS) -lm

replay: $(FUZZ_BIN)
	@failed=; for f in $(FUZZ_BIN); do $$f test/fuzz/corpus/$$(basename $$f | sed s/^fuzz_//) || failed="$$failed $$f"; done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

# Side by side, since most of them wait for a time-out or a poll; then those that load the machine.
CASES = CLUSTERDNS='$(abspath $B)/clusterdns' $(PYTHON) -m pytest -q -p no:cacheprovider test/cases
cases: $B/clusterdns $B/dnsbench $B/simulated $(SHARED_BIN)
	@failed=; $(CASES) -n 4 -m 'not alone' || failed=1; $(CASES) -m alone || failed=1; [ -z "$$failed" ]

## make test-cluster     the same and all cases on a real control plane, beside CoreDNS (builds them once through Go)
test-cluster:
	@tools/deps build test cluster
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@test/cluster/build
	@CLUSTERDNS=$(abspath $B)/clusterdns $(PYTHON) -m pytest -q -p no:cacheprovider test/compat test/cluster
	@CASES_ON='live coredns' CLUSTERDNS=$(abspath $B)/clusterdns $(PYTHON) -m pytest -q -p no:cacheprovider test/cases/test_cases.py test/cases/defaults
	@CLUSTERDNS_RELOADS=1000 CLUSTERDNS=$(abspath $B)/clusterdns $(PYTHON) -m pytest -q -p no:cacheprovider test/cases/reload/test_reloads.py

## make lint             include rules, formatting, clang-tidy, banned words, shell and python syntax
lint:
	@tools/deps build test lint
	@tools/lint

## make format           clang-format on the C files that git knows
format:
	clang-format -i $$(git ls-files '*.c' '*.h' | grep -v plugins/order.h)

$B/bench/%: bench/%.c $B/libclusterdns.a
	@mkdir -p $(@D)
	$(SAY)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $B/libclusterdns.a $(PKG_LIBS)

## make bench            CPU per query beside a UDP echo, CoreDNS and unbound
bench: all $(BENCH_BIN)
	@bench/run $B

## make bench-scale      memory, CPU and time with 100,000 services on a real API server, beside CoreDNS (SCALE=… for bench/scale)
bench-scale:
	@tools/deps build test cluster
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@test/cluster/build
	@bench/scale $B $(SCALE)

## make bench-propagation
##                       from a change at a real API server to the changed answer, beside CoreDNS
bench-propagation:
	@tools/deps build test cluster
	@$(MAKE) --no-print-directory -j$$(nproc) all $B/bench/follow
	@test/cluster/build
	@bench/propagation $B

## make bench-dnsbench   dnsbench beside dnsperf: what both say of a server of known delays, and questions for a CPU second
bench-dnsbench:
	@tools/deps build bench
	@$(MAKE) --no-print-directory -j$$(nproc) $B/dnsbench $B/simulated $B/bench/echo
	@bench/truth $B
	@bench/generator $B

## make fuzz             fuzz each target for FUZZ_SECONDS (60) with libFuzzer
FUZZ_SECONDS ?= 60
fuzz:
	@tools/deps build lint
	@tools/fuzz $(FUZZ_SECONDS)

## make install          both programs, headers, man page; DESTDIR= PREFIX=/usr/local
install: all
	install -D -m 0755 $B/clusterdns $(DESTDIR)$(PREFIX)/bin/clusterdns
	install -d $(DESTDIR)$(PREFIX)/include/clusterdns
	install -m 0644 include/clusterdns/*.h $(DESTDIR)$(PREFIX)/include/clusterdns/
	install -D -m 0644 Corefile.example $(DESTDIR)$(PREFIX)/share/doc/clusterdns/Corefile.example
	install -D -m 0755 $B/dnsbench $(DESTDIR)$(PREFIX)/bin/dnsbench
	install -D -m 0644 docs/dnsbench.1 $(DESTDIR)$(PREFIX)/share/man/man1/dnsbench.1
	install -m 0644 docs/dnsbench.md $(DESTDIR)$(PREFIX)/share/doc/clusterdns/dnsbench.md

## make clean            remove build/
##
## with any target: SANITIZE=address,undefined or SANITIZE=thread (a build of its own, in build/…), V=1 (show commands)
clean:
	rm -rf build

-include $(OBJECTS:.o=.d) $(DNSBENCH_SRC:%.c=$B/obj/%.d) $(UNIT_BIN:=.d) $(SHARED_BIN:=.d)
