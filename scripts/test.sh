#!/usr/bin/env bash
# What `make test` runs, in the order in which failures are cheapest to find.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
step() { printf '\n== %s\n' "$1"; }

lint() {
    step "lint"
    ruff check .
    ruff format --check --quiet . || { echo "run: .venv/bin/ruff format ." >&2; exit 1; }
    lint-imports --no-cache
    (cd protos && buf lint && buf format --diff --exit-code >/dev/null || { echo "run: cd protos && buf format -w" >&2; exit 1; })
    scripts/protos.sh --check
}
types() { step "types"; mypy; }
unit() { step "unit and contract tests"; scripts/postgres.sh; scripts/redis.sh; scripts/prometheus.sh; pytest -m 'not e2e and not compose' --numprocesses 3 --dist worksteal "$@"; }
e2e() {
    step "end-to-end tests on a real Asterisk"
    scripts/postgres.sh
    scripts/redis.sh
    scripts/prometheus.sh
    # A lab that was not running before is not left running.
    python -m lab status >/dev/null 2>&1 || trap 'python -m lab down >/dev/null' EXIT
    pytest -m e2e tests/e2e "$@"
}
compose() { step "the compose project on a Docker Engine"; pytest -m compose tests/compose "$@"; }

case "${1:-all}" in
    all) lint; types; unit; e2e ;;
    lint | types | unit | e2e | compose) "$@" ;;
    *) echo "usage: scripts/test.sh [lint|types|unit|e2e|compose] [pytest options]" >&2; exit 2 ;;
esac
