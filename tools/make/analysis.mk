# Slower checks than `make check`: sanitizers, static analysis, the other compiler.
.PHONY: sanitize check-clang analyze tidy

# ThreadSanitizer: the tests of what has threads.
THREAD_TESTS := $(filter tests/unit/taskmanager/% tests/unit/connectors/% tests/unit/common/io/% \
                         tests/unit/common/base/%,$(UNIT_SOURCES))

# Under sanitizers everything takes several times as long, and so may a test.
sanitize: export CK_TIMEOUT_MULTIPLIER ?= 4
sanitize: ## unit tests under ASan and UBSan, those with threads under TSan
	$(MAKE) SANITIZE=address BUILD=$(BUILD) WERROR=$(WERROR) unit
	TSAN_OPTIONS=halt_on_error=1 $(MAKE) SANITIZE=thread BUILD=$(BUILD) WERROR=$(WERROR) unit UNIT_SOURCES="$(THREAD_TESTS)"

check-clang: ## everything builds with clang without a warning
	$(MAKE) CC=clang WERROR=1 BUILD=$(BUILD)/clang build

# gcc's analyzer does not know ownership by reference count well: its leak checks are left out. It
# follows paths on which error_set returns OK, which clang's can be told not to (status.h): NULL is
# left to clang.
ANALYZER := -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value \
            -Wno-analyzer-null-dereference -Wno-analyzer-null-argument

analyze: | $(PROTO_C) ## gcc -fanalyzer over common/, clang-tidy (.clang-tidy) over the product
	$(MAKE) OPTIMIZE="-O1 $(ANALYZER)" BUILD=$(BUILD)/analyze WERROR=1 \
	  $(patsubst %.c,$(BUILD)/analyze/%.o,$(filter common/%,$(SOURCES)))
	$(MAKE) tidy FILES="$(SOURCES) $(MAINS)"

# Seconds for each file, so it is no part of make test.
tidy: FILES ?= $(filter $(SOURCES) $(MAINS),$(shell git diff --name-only --merge-base main))
tidy: | $(PROTO_C) ## clang-tidy over what differs from main, or FILES="a.c b.c"
	FLAGS='-std=c11 $(filter-out -DMILLSTREAM_VERSION=%,$(CPPFLAGS))' tools/run_tidy.sh $(FILES)
