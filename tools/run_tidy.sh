#!/bin/sh
# run_tidy.sh FILE...: clang-tidy (.clang-tidy) over the files, two at a time. FLAGS: of the compiler.
# The last line sums up.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf '%s\n' "$@" | xargs -P 2 -n 1 sh -c 'clang-tidy --quiet "$@" -- $FLAGS -DMILLSTREAM_VERSION=\"0\" 2>/dev/null' sh >"$log"
# A header's warning comes once for each file that includes it.
grep -E ': (warning|error): ' "$log" | sort -u
count=$(grep -E ': (warning|error): ' "$log" | sort -u | wc -l)
echo "clang-tidy: $# files, $count warnings"
[ "$count" -eq 0 ]
