# The reference of connectors and formats comes from their option tables.
.PHONY: docs-connectors check-docs-connectors

docs-connectors: $(BUILD)/tools/gen_connectors_doc ## docs/connectors from the tables in the code
	@mkdir -p docs/connectors
	$< docs/connectors

check-docs-connectors: $(BUILD)/tools/gen_connectors_doc ## fails when docs/connectors is stale
	@rm -rf $(BUILD)/docs-connectors && mkdir -p $(BUILD)/docs-connectors
	@$< $(BUILD)/docs-connectors
	@diff -ru docs/connectors $(BUILD)/docs-connectors || \
	  { echo "docs/connectors is stale: make docs-connectors" >&2; exit 1; }
