# Documents and files that come from the tables of the code.
.PHONY: docs-configuration check-docs-configuration docs-jobs check-docs-jobs

docs-configuration: $(BUILD)/tools/gen_configuration_doc ## docs/configuration.md and conf/millstream.yaml from the table of keys
	@mkdir -p docs conf
	$< document > docs/configuration.md
	$< file > conf/millstream.yaml

check-docs-configuration: $(BUILD)/tools/gen_configuration_doc ## are those two up to date?
	$< document | diff -u docs/configuration.md -
	$< file | diff -u conf/millstream.yaml -

docs-jobs: $(BUILD)/tools/gen_jobs_doc ## docs/jobs.md and docs/job.schema.json from the table of clauses
	@mkdir -p docs
	$< document > docs/jobs.md
	$< schema > docs/job.schema.json

check-docs-jobs: $(BUILD)/tools/gen_jobs_doc ## are those two up to date, and do the examples fit?
	$< document | diff -u docs/jobs.md -
	$< schema | diff -u docs/job.schema.json -
	python3 tools/check_examples.py docs/job.schema.json examples
