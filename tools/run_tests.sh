#!/bin/sh
# All tests, as CI runs them. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
jobs=$(nproc)
export MAKEFLAGS=--no-print-directory
passed=0
failed=0
step() {
    name=$1
    shift
    echo "== $name"
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        tail -1 "$log"
    else
        cat "$log"
        echo "FAILED: $name"
        failed=$((failed + 1))
    fi
    # Steps that count their own tests say so in a last line of the same form.
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$log" | tail -1)
    [ -z "$counts" ] || passed=$((passed + ${counts%% *}))
    rm -f "$log"
}
counted() {
    "$@" && echo "1 passed, 0 failed"
}
step format counted make format-check
step layers counted make layers
step headers counted make headers
step sizes counted make sizes
step build counted make -j"$jobs" WERROR=1 build
step sim make WERROR=1 sim SEEDS=1000
step sim-planted make WERROR=1 sim-planted
step unit make -j"$jobs" WERROR=1 unit
step clang counted make -j"$jobs" check-clang
step documents counted make check-docs
step fuzz-corpus make fuzz-corpus FUZZ_MS=500
step editor make test-editor
step jobs make test-jobs
step cluster make test-cluster
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
