#!/bin/sh
# Every header of the product compiles alone.
build=$1
failed=0
for header in $(find common expressions operators connectors compiler jobmanager taskmanager client \
    -name '*.h' | sort); do
    echo "#include \"$header\"" |
        gcc -std=c11 -D_GNU_SOURCE -DMILLSTREAM_VERSION='""' -Wall -Wextra -Werror -I. -I"$build" \
            -fsyntax-only -x c - || {
        echo "$header does not compile alone" >&2
        failed=1
    }
done
exit $failed
