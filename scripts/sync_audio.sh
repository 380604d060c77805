#!/usr/bin/env bash
# Makes the prompts and brings them to where Asterisk plays them: AST_SOUND_DIR, or a destination
# given as an argument (a directory or user@host:/directory). --help tells more.
set -euo pipefail
home=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$home/.venv/bin/python" ] || { echo "sync_audio: .venv is not there: run make install" >&2; exit 3; }
exec "$home/.venv/bin/python" -m speech.prompts "$@"
