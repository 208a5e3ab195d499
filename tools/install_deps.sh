#!/bin/sh
# Installs the Debian 12 packages that are missing; prints what it runs. Nothing to do is quick.
set -eu
cd "$(dirname "$0")/.."
missing=""
for package in $(grep -v '^#' tools/packages.txt); do
    # "npm?npm": only where the command is not there already, from whatever package.
    case $package in
    *\?*)
        command -v "${package#*\?}" >/dev/null && continue
        package=${package%\?*}
        ;;
    esac
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
        missing="$missing $package"
done
[ -z "$missing" ] && exit 0
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    sudo="sudo"
    command -v sudo >/dev/null || {
        echo "packages are missing and this is neither root nor is there sudo; as root run:" >&2
        echo "  apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    }
fi
run() {
    echo "+ $*"
    "$@"
}
run $sudo apt-get update -q
run $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
