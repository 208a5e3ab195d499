#!/bin/sh
# A cluster on this machine: one JobManager and some TaskManagers, kept by pid files.
#   tools/cluster.sh start [TASKMANAGERS] | add | kill N | stop | pid N
# Its files are below CLUSTER_DIR (default build/cluster); ports are the default ones unless
# CLUSTER_OPTIONS ("-D key=value ...", passed to every daemon) says otherwise.
set -eu
cd "$(dirname "$0")/.."
dir=${CLUSTER_DIR:-build/cluster}
bin=build/bin
options=${CLUSTER_OPTIONS:-}
rest=${CLUSTER_REST:-127.0.0.1:8081}

say() { echo "$*" >&2; }

running() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

fail_with_log() {
    say "$1 did not start; its log:"
    tail -5 "$2" >&2
    exit 1
}

start_jobmanager() {
    # shellcheck disable=SC2086  # options are words
    $bin/millstream-jobmanager -D "process.working-dir=$dir/work" $options \
        >"$dir/jobmanager.out" 2>>"$dir/jobmanager.log" &
    echo $! >"$dir/jobmanager.pid"
    for _ in $(seq 100); do
        curl -fs "http://$rest/ready" >/dev/null 2>&1 && return 0
        running "$dir/jobmanager.pid" || fail_with_log JobManager "$dir/jobmanager.log"
        sleep 0.05
    done
    fail_with_log JobManager "$dir/jobmanager.log"
}

add_taskmanager() {
    number=1
    while [ -f "$dir/taskmanager-$number.pid" ]; do number=$((number + 1)); done
    # shellcheck disable=SC2086
    $bin/millstream-taskmanager -D "process.working-dir=$dir/work" $options \
        >"$dir/taskmanager-$number.out" 2>>"$dir/taskmanager-$number.log" &
    echo $! >"$dir/taskmanager-$number.pid"
}

wait_for_taskmanagers() {
    for _ in $(seq 100); do
        count=$(curl -fs "http://$rest/overview" | sed -n 's/.*"taskmanagers":\([0-9]*\).*/\1/p')
        [ "${count:-0}" -ge "$1" ] && return 0
        sleep 0.05
    done
    say "only ${count:-0} of $1 TaskManagers have registered; their logs:"
    tail -3 "$dir"/taskmanager-*.log >&2
    exit 1
}

stop_all() {
    for file in "$dir"/taskmanager-*.pid "$dir"/jobmanager.pid; do
        running "$file" && kill "$(cat "$file")"
    done
    for file in "$dir"/taskmanager-*.pid "$dir"/jobmanager.pid; do
        [ -f "$file" ] || continue
        for _ in $(seq 100); do
            running "$file" || break
            sleep 0.05
        done
        running "$file" && kill -9 "$(cat "$file")"
        rm -f "$file"
    done
    return 0
}

mkdir -p "$dir"
case ${1:-} in
start)
    running "$dir/jobmanager.pid" && { say "the cluster of $dir runs already"; exit 1; }
    rm -f "$dir"/*.pid
    start_jobmanager
    for _ in $(seq "${2:-2}"); do add_taskmanager; done
    wait_for_taskmanagers "${2:-2}"
    ;;
add) add_taskmanager ;;
pid) cat "$dir/taskmanager-$2.pid" ;;
kill)
    kill -9 "$(cat "$dir/taskmanager-$2.pid")"
    rm -f "$dir/taskmanager-$2.pid"
    ;;
stop) stop_all ;;
*)
    say "usage: tools/cluster.sh start [TASKMANAGERS] | add | kill N | stop | pid N"
    exit 2
    ;;
esac
