#!/usr/bin/env python3
"""Validates every examples/*.yaml (but not their *.test.yaml) against the JSON schema of jobs: check_examples.py SCHEMA FOLDER."""
import json
import pathlib
import sys

import jsonschema
import yaml


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2 core enough for jobs: no, on and yes are texts."""


CoreLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag in ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:null")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def main():
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    files = sorted(p for p in pathlib.Path(sys.argv[2]).glob("*.yaml") if not p.name.endswith(".test.yaml"))
    bad = 0
    for file in files:
        for error in validator.iter_errors(yaml.load(file.read_text(), CoreLoader)):
            print(f"{file}: {'/'.join(map(str, error.path))}: {error.message}", file=sys.stderr)
            bad += 1
    print(f"{len(files)} examples, {bad} errors")
    sys.exit(1 if bad or not files else 0)


main()
