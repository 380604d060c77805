#!/usr/bin/env bash
# Resolves the workspace and writes the hash-pinned exports that installs use.
# uv.lock itself names registry hosts, so it stays out of git; versions move only when this is run.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
"$uv" lock --quiet "$@"
export_to() { # file, options of uv export
    local file=requirements/$1.txt; shift
    "$uv" export --quiet --frozen --no-header --no-annotate --no-emit-workspace --output-file "$file" "$@" >/dev/null
}
export_to dev --all-packages --group dev
for member in ari-gateway dialer speech intent reporter lab; do
    export_to "$member" --package "salehi-$member"
done
if grep -nE '://' requirements/*.txt; then echo "an export names a host" >&2; exit 1; fi
