#!/bin/sh
# Entry point of the image: jobmanager | taskmanager | standalone-job | health | any command.
# JOB_MANAGER_RPC_ADDRESS and FLINK_PROPERTIES mean what they mean in Flink's image; the daemons
# read MILLSTREAM_PROPERTIES and FLINK_PROPERTIES themselves.
set -eu
role=${1:-help}
[ $# -gt 0 ] && shift
jobmanager=${JOB_MANAGER_RPC_ADDRESS:-$(hostname)}

case $role in
jobmanager)
    exec millstream-jobmanager -D "jobmanager.rpc.address=$jobmanager" \
        -D jobmanager.bind-host=0.0.0.0 -D rest.bind-address=0.0.0.0 "$@"
    ;;
taskmanager)
    exec millstream-taskmanager -D "jobmanager.rpc.address=$jobmanager" \
        -D taskmanager.bind-host=0.0.0.0 -D taskmanager.data.port=6121 "$@"
    ;;
standalone-job)
    exec millstream run --local "$@"
    ;;
health)
    # Process 1 tells which role this container has.
    if tr '\0' '\n' </proc/1/cmdline | grep -q jobmanager; then port=8081; else port=9249; fi
    exec curl -fsS -o /dev/null "http://127.0.0.1:$port/health"
    ;;
help)
    exec millstream help
    ;;
*)
    exec "$role" "$@"
    ;;
esac
