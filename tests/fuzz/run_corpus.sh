#!/bin/sh
# run_corpus.sh MILLISECONDS PROGRAM...: every fuzz target over its corpus and mutations of it.
cd "$(dirname "$0")/../.." || exit 1
duration_ms=$1
shift
passed=0
failed=0
for program in "$@"; do
    name=${program##*/fuzz_}
    if output=$("$program" "tests/fuzz/corpus/$name" "$duration_ms" 2>&1); then
        passed=$((passed + 1))
        echo "$name: $output"
    else
        failed=$((failed + 1))
        printf '%s\n' "$output"
        echo "FAILED fuzz target $name: replay with $program $program.crash"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
