#!/bin/sh
# Runs unit test programs one after the other; the last line sums up the tests inside them.
# CK_TIMEOUT_MULTIPLIER (libcheck's own) stretches the limit of a program too.
seconds=$((300 * ${CK_TIMEOUT_MULTIPLIER:-1}))
passed=0
failed=0
for program in "$@"; do
    output=$(timeout "$seconds" "$program" 2>&1)
    code=$?
    # libcheck's summary: "100%: Checks: 7, Failures: 0, Errors: 0"
    checks=$(printf '%s\n' "$output" | sed -n 's/.*Checks: \([0-9]*\), Failures.*/\1/p' | tail -1)
    bad=$(printf '%s\n' "$output" |
        sed -n 's/.*Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2/p' | tail -1 |
        { read -r f e; echo $((${f:-0} + ${e:-0})); })
    if [ "$code" -ne 0 ] || [ -z "$checks" ]; then
        printf '%s\n' "$output"
        echo "FAILED $program (exit $code); run it alone with CK_FORK=no to debug"
        [ "$bad" -gt 0 ] || bad=1
    fi
    failed=$((failed + bad))
    passed=$((passed + ${checks:-0} - bad))
    [ -n "$checks" ] || passed=$((passed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
