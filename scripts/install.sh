#!/usr/bin/env bash
# Makes .venv with every pinned dependency (hashes checked) and the workspace itself, editable.
# Does nothing when nothing changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
say() { echo "install: $*" >&2; }

"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null || {
    say "needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Set PYTHON=/path/to/python3.11"; exit 3; }

# Programs the speech service calls.
missing=()
for program in ffmpeg espeak-ng; do command -v "$program" >/dev/null || missing+=("$program"); done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "adding ${missing[*]}"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        say "speech needs them: apt-get install ${missing[*]}"
    fi
fi

members=(protos libs/servicekit services/ari-gateway services/dialer services/speech services/intent services/reporter lab)
stamp=$(cat requirements/dev.txt scripts/install.sh protos/pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml lab/pyproject.toml \
    | sha256sum | cut -c1-64; "$python" --version; pwd)
if [ -f .venv/.installed ] && [ "$(cat .venv/.installed)" = "$stamp" ]; then exit 0; fi

if ! "$python" -m venv --help >/dev/null 2>&1 || ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "adding python3-venv"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        say "the venv module is missing: apt-get install python3-venv"; exit 3
    fi
fi
[ -x .venv/bin/python ] || { say "making .venv"; "$python" -m venv .venv; }
say "installing pinned dependencies"
# uv itself comes hash-checked out of the same file; it then installs the rest in seconds.
.venv/bin/python - <<'PY' > .venv/uv.txt
import re
text = open("requirements/dev.txt", encoding="utf-8").read()
print(re.search(r"^uv==(?:.*\\\n)+.*\n", text, re.M).group(0))
PY
.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.txt
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements/dev.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation "${members[@]/#/--editable=}"
printf '%s' "$stamp" > .venv/.installed
say "done: .venv/bin has ari-gateway, dialer, speech, intent, reporter"
