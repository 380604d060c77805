#!/usr/bin/env bash
# Generates the stubs under protos/gen from protos/salehi; with --check, fails when that would change anything.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
out=protos/gen
[ "${1:-}" = --check ] && out=$(mktemp -d)
mapfile -t files < <(cd protos && find salehi -name '*.proto' | sort)
PATH="$PWD/$bin:$PATH" "$bin/python" -m grpc_tools.protoc -I protos \
    --python_out="$out" --grpc_python_out="$out" --mypy_out="quiet:$out" --mypy_grpc_out="quiet:$out" "${files[@]}"
if [ "${1:-}" = --check ]; then
    diff -r -x __pycache__ "$out" protos/gen || { echo "protos/gen is stale: run 'make protos' and commit" >&2; exit 1; }
    rm -r "$out"
fi
