#!/bin/sh
# The tests with a YAML language server, which npm fetches once into the folder given.
#   tests/editor/run.sh build/editor
set -eu
version=1.25.0
folder=$1
server=$folder/$version/node_modules/.bin/yaml-language-server
cd "$(dirname "$0")/../.."
skip() {
    echo "SKIPPED: the editor tests: $*"
    exit 0
}
if [ ! -x "$server" ]; then
    command -v npm >/dev/null || skip "there is no npm (package npm)"
    mkdir -p "$folder/$version.new"
    npm install --no-audit --no-fund --ignore-scripts --loglevel=error --prefix "$folder/$version.new" \
        "yaml-language-server@$version" >"$folder/npm.log" 2>&1 ||
        skip "npm could not fetch yaml-language-server $version: $(grep -m1 error "$folder/npm.log" || true)"
    rm -rf "${folder:?}/$version"
    mv "$folder/$version.new" "$folder/$version"
fi
exec python3 tests/editor/test_editor.py "$server"
