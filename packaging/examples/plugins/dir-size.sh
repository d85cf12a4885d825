#!/bin/sh
# How much space directories take, for a source of kind exec: a run prints one line for each and ends.
#
#   - {name: sizes, kind: exec, every: 5m, command: [/usr/local/lib/weir/dir-size.sh, /var/log, /var/lib/weir]}
#
# Gives dir_size.bytes{path=...}. What cannot be read is said on stderr, which Weir logs, and told by exit code 1.
set -u
code=0
[ $# -gt 0 ] || { echo "no directory is named" >&2; exit 2; }
for path in "$@"; do
    kilobytes=$(du -skx "$path" 2>/dev/null | cut -f1)
    if [ -n "$kilobytes" ]; then
        # In a tag, a blank, a comma and an equals sign carry a backslash.
        tag=$(printf '%s' "$path" | sed 's/[ ,=]/\\&/g')
        echo "dir_size,path=$tag bytes=$((kilobytes * 1024))i"
    else
        echo "cannot read $path" >&2
        code=1
    fi
done
exit $code
