.PHONY: test-jobs
test-jobs: build ## golden jobs and the examples, each run in several ways
	MILLSTREAM_BIN=$(abspath $(BUILD)/bin) python3 tests/jobs/run.py
	$(BUILD)/bin/millstream test $(sort $(wildcard tests/author/*.test.yaml examples/*.test.yaml)) 2>/dev/null
