#!/bin/sh
# make test-docker: builds the image and runs deploy/docker-compose.yml with three TaskManagers on a
# real dockerd. Where none runs, Debian's docker.io is installed and started by hand; where no base
# image can be pulled, one is made with debootstrap. Needs root.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d /tmp/millstream-docker.XXXXXX)
project=millstream-test
started=""

say() { echo "== $*"; }

install_missing() {
    missing=""
    for package in docker.io docker-compose debootstrap iptables; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    say "install$missing"
    apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}

# Debian's client and daemon, whatever else is on the PATH.
docker() { /usr/bin/docker "$@"; }
compose() { /usr/bin/docker-compose -p "$project" -f deploy/docker-compose.yml "$@"; }

finish() {
    code=$?
    [ $code -eq 0 ] || compose logs --tail 20 2>/dev/null || true
    compose down -v --timeout 5 >/dev/null 2>&1 || true
    if [ -n "$started" ]; then
        kill "$started" 2>/dev/null || true
        for _ in $(seq 100); do kill -0 "$started" 2>/dev/null || break; sleep 0.1; done
    fi
    # dockerd leaves the network namespace it made mounted.
    for mount in $(awk -v dir="$work/" 'index($2, dir) == 1 {print $2}' /proc/mounts | sort -r); do
        umount "$mount" 2>/dev/null || true
    done
    rm -rf "$work"
    exit $code
}

start_dockerd() {
    docker info >/dev/null 2>&1 && return 0
    say "start dockerd"
    for options in "" "--storage-driver=vfs" "--storage-driver=vfs --iptables=false --bridge=none"; do
        # shellcheck disable=SC2086
        dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" $options \
            >"$work/dockerd.log" 2>&1 &
        started=$!
        for _ in $(seq 150); do
            docker info >/dev/null 2>&1 && return 0
            kill -0 "$started" 2>/dev/null || break
            sleep 0.1
        done
        kill "$started" 2>/dev/null || true
        started=""
    done
    echo "SKIPPED: no dockerd can run here; its last words:"
    tail -5 "$work/dockerd.log"
    exit 1
}

base_image() {
    docker image inspect debian:bookworm-slim >/dev/null 2>&1 && return 0
    timeout 60 docker pull -q debian:bookworm-slim >/dev/null 2>&1 && return 0
    say "no base image can be pulled: make one with debootstrap"
    mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) bookworm .*/\2/p; s/^URIs: *\([^ ]*\).*/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)
    debootstrap --variant=minbase bookworm "$work/root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
        { tail -5 "$work/debootstrap.log"; exit 1; }
    # The containers reach packages the way this host does.
    cp -a /etc/apt/apt.conf.d/. "$work/root/etc/apt/apt.conf.d/" 2>/dev/null || true
    tar -C "$work/root" -c . | docker import - debian:bookworm-slim >/dev/null
    rm -rf "$work/root"
}

[ "$(id -u)" -eq 0 ] || { echo "test-docker starts dockerd and needs root"; exit 1; }
trap finish EXIT INT TERM
install_missing
start_dockerd
base_image
say "build the image"
docker build -q --network host -t millstream . >/dev/null
docker image ls millstream
say "start a JobManager and three TaskManagers"
compose up -d --no-build --scale taskmanager=3
overview() { curl -fs http://127.0.0.1:8081/overview; }
for _ in $(seq 300); do
    overview | grep -q '"taskmanagers":3' && break
    sleep 0.1
done
overview | grep -q '"slots-total":3' || { echo "expected 3 slots: $(overview)"; exit 1; }
jobmanager=$(compose ps -q jobmanager)
shared=/var/lib/millstream/shared
say "count words over the three slots"
docker exec "$jobmanager" sh -c "mkdir -p $shared/in && for i in \$(seq 1000); do echo 'to be or not to be'; done >$shared/in/a.txt"
docker exec "$jobmanager" millstream run -p 3 --param input=$shared/in --param output=$shared/out \
    /usr/local/share/millstream/examples/wordcount-file.yaml
docker exec "$jobmanager" sh -c "cat $shared/out/*.csv | sort" >"$work/actual"
printf 'be,2000\nnot,1000\nor,1000\nto,2000\n' | diff - "$work/actual"
say "health and a clean end"
sleep 6
[ "$(docker inspect -f '{{.State.Health.Status}}' "$jobmanager")" = healthy ]
[ "$(docker exec "$jobmanager" id -u)" = 10001 ]
compose stop --timeout 10
for container in $(compose ps -q); do
    code=$(docker inspect -f '{{.State.ExitCode}}' "$container")
    [ "$code" = 0 ] || { echo "container $container ended with $code"; exit 1; }
done
echo "1 passed, 0 failed"
