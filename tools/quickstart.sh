#!/bin/sh
# make quickstart: a cluster counts the words of a generated text while one TaskManager is killed;
# the result is compared with sort | uniq -c. Needs no network service.
set -eu
cd "$(dirname "$0")/.."
work=build/quickstart
lines=300000
rate=20000
export CLUSTER_DIR=$work/cluster

step() { printf '\n== %s\n' "$*"; }
finish() {
    code=$?
    tools/cluster.sh stop || true
    exit $code
}

rm -rf "$work/out" "$work/cluster"
mkdir -p "$work/in"
if [ ! -f "$work/in/text.txt" ]; then
    step "generate $lines lines of text"
    build/bench/generate_text "$lines" 10 100000 1 "$work/in/text.txt"
fi

step "start one JobManager and two TaskManagers"
trap finish EXIT INT TERM
tools/cluster.sh start 2

step "submit examples/wordcount-file.yaml at $rate lines a second, a checkpoint every second"
build/bin/millstream run -d -p 2 --param "input=$work/in" --param "output=$work/out" \
    --param "rate=$rate" -D execution.checkpointing.interval=1s \
    examples/wordcount-file.yaml | tee "$work/submitted"
job=$(sed -n 's/.*JobID \([0-9a-f]*\).*/\1/p' "$work/submitted")

state() {
    build/bin/millstream status --output json "$job" |
        python3 -c 'import json,sys; print(json.load(sys.stdin)["state"])'
}
half=$((lines / rate / 2))
for _ in $(seq "$half"); do
    sleep 1
    build/bin/millstream status "$job" | sed -n '2,6p'
done

step "kill -9 one TaskManager and start another"
tools/cluster.sh kill 2
tools/cluster.sh add
for _ in $(seq 120); do
    now=$(state)
    [ "$now" = FINISHED ] && break
    case $now in FAILED | CANCELED) break ;; esac
    sleep 1
    build/bin/millstream status "$job" | sed -n '2,6p'
done
build/bin/millstream status "$job"
[ "$now" = FINISHED ] || { echo "the job is $now instead of FINISHED"; exit 1; }

step "the most frequent words"
cat "$work"/out/*.csv >"$work/counts"
sort -t, -k2,2nr -k1,1 "$work/counts" | head -10

step "compare all counts with sort | uniq -c"
tr -s ' ' '\n' <"$work/in/text.txt" | LC_ALL=C sort | uniq -c | awk '{print $2 "," $1}' |
    LC_ALL=C sort >"$work/expected"
LC_ALL=C sort "$work/counts" >"$work/actual"
if cmp -s "$work/expected" "$work/actual"; then
    echo "equal: $(wc -l <"$work/actual") words, $(awk -F, '{n += $2} END {print n}' "$work/actual") in all"
else
    echo "NOT equal:"
    diff "$work/expected" "$work/actual" | head
    exit 1
fi

step "the cluster"
build/bin/millstream status

trap - EXIT INT TERM
tools/cluster.sh stop
step "stopped. The same by hand:"
cat <<EOF
  make up                                      # start this cluster and leave it running
  build/bin/millstream run --param input=$work/in --param output=$work/out-2 examples/wordcount-file.yaml
  build/bin/millstream status                  # or open http://127.0.0.1:8081/overview
  make down                                    # stop it
EOF
