.PHONY: test-editor
test-editor: ## the schema of jobs in an editor: checks, completion and help by a YAML language server
	@tests/editor/run.sh $(abspath $(BUILD))/editor
