.PHONY: test-cluster
test-cluster: build $(BUILD)/bench/generate_text ## tests with real processes and kill -9
	MILLSTREAM_BIN=$(abspath $(BUILD)/bin) python3 tests/cluster/run.py
