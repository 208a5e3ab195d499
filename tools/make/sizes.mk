.PHONY: sizes
sizes: ## functions of at most 70 lines, files of at most 600 (exceptions: tools/sizes.txt)
	python3 tools/check_sizes.py
