.PHONY: docs check-docs
docs: docs-configuration docs-connectors docs-functions docs-jobs ## write the generated documents

check-docs: check-docs-configuration check-docs-connectors check-docs-functions check-docs-jobs ## generated documents are not stale
