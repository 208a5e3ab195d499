# Fuzzing: tests/fuzz/fuzz_<name>.c, seeds in tests/fuzz/corpus/<name>.
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_TARGETS := $(FUZZ_SOURCES:%.c=$(BUILD)/%)
FUZZ_MS      ?= 1000
SECONDS      ?= 60

.PHONY: fuzz fuzz-corpus fuzz-seeds

# With libFuzzer the program has the fuzzer's main, else the one that replays the corpus.
ifeq ($(SANITIZE),fuzzer)
FUZZ_MAIN  := -fsanitize=fuzzer
else
FUZZ_MAIN  := $(BUILD)/tests/fuzz/run_corpus.o
$(FUZZ_TARGETS): $(FUZZ_MAIN)
endif

$(FUZZ_TARGETS): $(BUILD)/%: $(BUILD)/%.o $(KIT_OBJECTS) $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $< $(FUZZ_MAIN) $(KIT_OBJECTS) $(LIBRARY) $(LDLIBS) -lcheck -lsubunit -lrt -lm

fuzz-corpus: $(FUZZ_TARGETS) ## every fuzz target over its corpus, with mutations for about 1 s each
	tests/fuzz/run_corpus.sh $(FUZZ_MS) $(FUZZ_TARGETS)

fuzz: ## libFuzzer on one parser: make fuzz T=csv SECONDS=60; found inputs stay in build/
	@test -f tests/fuzz/fuzz_$(T).c || { \
	  echo "usage: make fuzz T=<target> [SECONDS=60]; targets:" $(FUZZ_SOURCES:tests/fuzz/fuzz_%.c=%); exit 2; }
	$(MAKE) CC=clang SANITIZE=fuzzer BUILD=$(BUILD) $(BUILD)/fuzzer/tests/fuzz/fuzz_$(T)
	@mkdir -p $(BUILD)/fuzzer/found/$(T)
	$(BUILD)/fuzzer/tests/fuzz/fuzz_$(T) -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 \
	  -max_len=16384 -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzzer/found/$(T)- \
	  $(BUILD)/fuzzer/found/$(T) tests/fuzz/corpus/$(T)

fuzz-seeds: $(FUZZ_TARGETS) # writes the seeds of binary formats anew, after a change of format
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p tests/fuzz/corpus/$${target##*/fuzz_} && \
	  $$target --seeds tests/fuzz/corpus/$${target##*/fuzz_} || exit 1; done
