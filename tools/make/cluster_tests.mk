.PHONY: test-cluster
test-cluster: build ## tests with real processes and kill -9
	python3 tests/cluster/run.py
