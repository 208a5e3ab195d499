# Millstream: `make help` lists the targets. Build output goes to build/ only.

BUILD    ?= build
ifeq ($(origin CC),default)
CC       := gcc
endif
VERSION  := $(shell cat VERSION)
PREFIX   ?= /usr/local
# SANITIZE=address (with undefined), thread, or empty; each has a build folder of its own.
SANITIZE ?=
# WERROR=1 makes warnings errors: CI and `make check` set it.
WERROR   ?=

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough -Wnull-dereference
OPTIMIZE ?= -O2
CPPFLAGS += -I. -I$(BUILD) -D_GNU_SOURCE -DMILLSTREAM_VERSION='"$(VERSION)"'
CFLAGS   += -std=c11 -g $(OPTIMIZE) -pthread -fvisibility=hidden -fno-strict-aliasing \
            -fstack-protector-strong $(WARNINGS)
LDFLAGS  += -pthread -Wl,--as-needed
LDLIBS   += -lnng -lprotobuf-c -lrocksdb -lyaml -lmicrohttpd -lcurl -ljansson -lxxhash -lzstd \
            -llz4 -lz -lrdkafka -lm

ifeq ($(SANITIZE),address)
override BUILD := $(BUILD)/address
CFLAGS  += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(SANITIZE),thread)
override BUILD := $(BUILD)/thread
CFLAGS  += -fsanitize=thread -fno-omit-frame-pointer
LDFLAGS += -fsanitize=thread
else ifeq ($(SANITIZE),fuzzer)
# For `make fuzz`, with clang: address and undefined, and what libFuzzer steers by.
override BUILD := $(BUILD)/fuzzer
CFLAGS  += -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer \
           -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
else
CFLAGS  += -D_FORTIFY_SOURCE=2
endif
ifneq ($(WERROR),)
CFLAGS  += -Werror
endif

# ---- what is built ----

LAYERS   := common expressions operators connectors compiler jobmanager taskmanager client
MAINS    := jobmanager/main.c taskmanager/main.c client/main.c
SOURCES  := $(filter-out $(MAINS),$(shell find $(LAYERS) -name '*.c' 2>/dev/null | sort))
PROTOS   := $(sort $(wildcard proto/*.proto))
PROTO_C  := $(PROTOS:%.proto=$(BUILD)/%.pb-c.c)
OBJECTS  := $(SOURCES:%.c=$(BUILD)/%.o) $(PROTO_C:.c=.o)
LIBRARY  := $(BUILD)/libmillstream.a
PROGRAMS := $(if $(wildcard jobmanager/main.c),$(BUILD)/bin/millstream-jobmanager) \
            $(if $(wildcard taskmanager/main.c),$(BUILD)/bin/millstream-taskmanager) \
            $(if $(wildcard client/main.c),$(BUILD)/bin/millstream)

KIT_OBJECTS  := $(patsubst %.c,$(BUILD)/%.o,$(shell find tests/kit -name '*.c' 2>/dev/null | sort))
UNIT_SOURCES := $(shell find tests/unit -name 'test_*.c' 2>/dev/null | sort)
UNIT_TESTS   := $(UNIT_SOURCES:%.c=$(BUILD)/%)
TOOL_SOURCES := $(wildcard tools/*.c)
TOOLS        := $(TOOL_SOURCES:%.c=$(BUILD)/%)
BENCH_SOURCES := $(shell find bench -name '*.c' 2>/dev/null | sort)
BENCHES      := $(BENCH_SOURCES:%.c=$(BUILD)/%)

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help build check test unit deps install clean format format-check layers headers

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) tools/make/*.mk 2>/dev/null | sort -u | \
	  awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

build: $(PROGRAMS) $(LIBRARY) ## the daemons and the client, in build/bin

$(BUILD)/bin/millstream-jobmanager: $(BUILD)/jobmanager/main.o $(LIBRARY)
$(BUILD)/bin/millstream-taskmanager: $(BUILD)/taskmanager/main.o $(LIBRARY)
$(BUILD)/bin/millstream: $(BUILD)/client/main.o $(LIBRARY)
$(BUILD)/bin/%:
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) $(LDLIBS)

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@ar rcsD $@ $^

$(BUILD)/proto/%.pb-c.c: proto/%.proto
	@mkdir -p $(@D)
	@protoc-c --c_out=$(BUILD) -I. $<

# Generated code is not held to our warnings.
$(BUILD)/proto/%.pb-c.o: $(BUILD)/proto/%.pb-c.c
	@$(CC) $(CPPFLAGS) $(filter-out $(WARNINGS) -Werror,$(CFLAGS)) -w -c -o $@ $<

$(BUILD)/%.o: %.c Makefile VERSION | $(PROTO_C)
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_TESTS): $(BUILD)/%: $(BUILD)/%.o $(KIT_OBJECTS) $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $< $(KIT_OBJECTS) $(LIBRARY) $(LDLIBS) -lcheck -lsubunit -lrt -lm
$(TOOLS) $(BENCHES): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $< $(LIBRARY) $(LDLIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- what is checked ----

unit: $(UNIT_TESTS) ## build and run the unit tests
	tools/run_unit.sh $(UNIT_TESTS)

layers: ## includes point one way only
	python3 tools/check_layers.py

headers: | $(PROTO_C) ## every header compiles alone
	tools/check_headers.sh $(BUILD)

# Expected outputs of jobs are no sources, whatever their names end in.
FORMATTED = $(shell find $(LAYERS) tests bench tools -name '*.[ch]' -not -path 'tests/jobs/*' 2>/dev/null)
format: ## clang-format in place
	clang-format -i $(FORMATTED)
format-check:
	clang-format --dry-run -Werror $(FORMATTED)

check: format-check layers headers ## style, layers, headers, unit tests with -Werror
	$(MAKE) WERROR=1 BUILD=$(BUILD) build unit

deps: ## install the packages that are missing (Debian 12)
	tools/install_deps.sh

test: deps ## install what is missing, build, run all tests
	tools/run_tests.sh

install: build ## into PREFIX (default /usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/millstream/conf
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 conf/millstream.yaml $(DESTDIR)$(PREFIX)/share/millstream/conf

clean: ## remove build/
	rm -rf $(BUILD)

-include $(sort $(wildcard tools/make/*.mk))
