.PHONY: bench
bench: build $(BENCHES) ## measure against plain programs, as ratios of CPU seconds
	bench/run.py
