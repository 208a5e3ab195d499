.PHONY: docs-functions check-docs-functions

docs-functions: $(BUILD)/tools/gen_functions_doc ## docs/functions.md from the function registry
	$(BUILD)/tools/gen_functions_doc > docs/functions.md

check-docs-functions: $(BUILD)/tools/gen_functions_doc ## docs/functions.md is up to date
	@$(BUILD)/tools/gen_functions_doc | diff -u docs/functions.md - || \
	  { echo "docs/functions.md is stale: run make docs-functions"; exit 1; }
