#!/bin/sh
# make quickstart-kafka: a broker and a cluster; the words of a topic's lines are counted into another
# topic while one TaskManager is killed; the newest counts are compared with sort | uniq -c.
# CLUSTER_REST and CLUSTER_OPTIONS (tools/cluster.sh) choose other ports, QUICKSTART_DIR and
# QUICKSTART_LINES another place and size.
set -eu
cd "$(dirname "$0")/.."
work=${QUICKSTART_DIR:-build/quickstart-kafka}
lines=${QUICKSTART_LINES:-60000}
group=quickstart
rest=${CLUSTER_REST:-127.0.0.1:8081}
export CLUSTER_DIR=$work/cluster
millstream=build/bin/millstream

step() { printf '\n== %s\n' "$*"; }
stop_all() {
    tools/cluster.sh stop || true
    tools/kafka/broker.py stop "$work/kafka" || true
}
finish() {
    code=$?
    trap - EXIT INT TERM
    stop_all
    exit $code
}
kafka() {
    command=$1
    shift
    "$millstream" kafka "$command" --brokers "$brokers" "$@"
}
# What the job's last checkpoint leaves unread.
lag() {
    kafka topics lines --group $group | sed -n 's/.*\tlag \([0-9-]*\).*/\1/p' |
        awk '$1 == "-" {unknown = 1} {n += $1} END {print unknown || NR == 0 ? "-" : n}'
}
status() { "$millstream" status -m "$rest" "$@"; }
state() {
    status --output json "$job" | python3 -c 'import json,sys; print(json.load(sys.stdin)["state"])'
}
# Waits until the lag is smaller than $1, showing the job meanwhile.
wait_for_lag() {
    for _ in $(seq 120); do
        left=$(lag)
        case $(state) in FAILED | CANCELED | FINISHED) break ;; esac
        [ "$left" != - ] && [ "$left" -lt "$1" ] && return 0
        status "$job" | sed -n '2,6p'
        sleep 1
    done
    status "$job"
    echo "the job has not read its topic: lag $left"
    exit 1
}

[ ! -d "$work/kafka" ] || stop_all # of a call that was killed
rm -rf "$work/kafka" "$work/cluster"
mkdir -p "$work"
if [ ! -f "$work/text.txt" ]; then
    step "generate $lines lines of text"
    build/bench/generate_text "$lines" 10 100000 1 "$work/text.txt"
fi
trap finish EXIT INT TERM

step "start a Kafka broker, one JobManager and two TaskManagers"
tools/kafka/broker.py start "$work/kafka" | tee "$work/broker"
brokers=$(sed -n 's/^brokers: //p' "$work/broker")
tools/cluster.sh start 2
kafka topics --create lines words --partitions 3

step "submit examples/wordcount-kafka.yaml, a checkpoint every second"
"$millstream" run -m "$rest" -d -p 2 --param "brokers=$brokers" --param input_topic=lines \
    --param output_topic=words --param group=$group -D execution.checkpointing.interval=1s \
    examples/wordcount-kafka.yaml | tee "$work/submitted"
job=$(sed -n 's/.*JobID \([0-9a-f]*\).*/\1/p' "$work/submitted")

step "produce half of the text"
head -n $((lines / 2)) "$work/text.txt" | kafka produce lines
wait_for_lag $((lines / 2))

step "produce the other half, kill -9 one TaskManager that reads it, start another"
tail -n +$((lines / 2 + 1)) "$work/text.txt" | kafka produce lines
tools/cluster.sh kill 2
tools/cluster.sh add
wait_for_lag 1
status "$job"

step "read the topic of the results back: the newest count of each word is what holds"
kafka consume words >"$work/records"
sed -n 's/.*"word":"\([^"]*\)","count":\([0-9]*\).*/\1 \2/p' "$work/records" |
    awk '{count[$1] = $2} END {for (word in count) print word, count[word]}' |
    LC_ALL=C sort >"$work/actual"
sort -k2,2nr -k1,1 "$work/actual" | head -10

step "compare all counts with sort | uniq -c"
tr -s ' ' '\n' <"$work/text.txt" | LC_ALL=C sort | uniq -c | awk '{print $2, $1}' |
    LC_ALL=C sort >"$work/expected"
words=$(awk '{n += $2} END {print n}' "$work/expected")
if cmp -s "$work/expected" "$work/actual"; then
    records=$(wc -l <"$work/records")
    echo "equal: $(wc -l <"$work/actual") different words, $words in all"
    echo "records: $records; $((records - words)) came twice, sent by what was killed after its last checkpoint"
else
    echo "NOT equal:"
    diff "$work/expected" "$work/actual" | head
    exit 1
fi
"$millstream" cancel -m "$rest" "$job"

trap - EXIT INT TERM
stop_all
rm -rf "$work/kafka" "$work/cluster"
step "stopped. The same by hand:"
cat <<END
  make kafka-up up                             # a broker and a cluster that stay; prints the broker's address
  build/bin/millstream kafka topics --brokers ADDRESS --create lines words --partitions 3
  build/bin/millstream kafka produce --brokers ADDRESS lines <$work/text.txt
  build/bin/millstream run --local --preview --param brokers=ADDRESS --param input_topic=lines \\
      --param output_topic=words examples/wordcount-kafka.yaml        # a look, which changes nothing
  build/bin/millstream run -d --param brokers=ADDRESS --param input_topic=lines \\
      --param output_topic=words examples/wordcount-kafka.yaml
  build/bin/millstream kafka consume --brokers ADDRESS words --follow
  make down kafka-down                         # stop them
END
