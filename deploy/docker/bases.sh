#!/usr/bin/env bash
# Makes the images that ours are built on and run beside, under their public tags, from Debian's
# packages: for a machine whose Docker reaches no registry. Those that are there already are kept.
set -euo pipefail
cd "$(dirname "$0")/../.."
say() { echo "bases: $*" >&2; }

python=python:3.13-slim-trixie
debian=debian:sid-slim
redis=redis:8
postgres=postgres:17
prometheus=prom/prometheus:v3.5.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
there() { docker image inspect "$1" >/dev/null 2>&1; }

# A root file system of a suite, with this machine's own certificates: its way to packages may need them.
bootstrap() { # tag, suite, packages, hook
    there "$1" && return
    say "making $1"
    local sources=$work/$2
    mkdir -p "$sources/certificates"
    .venv/bin/python scripts/debian_suite.py "$2" "$sources"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$sources/certificates" \; 2>/dev/null || true
    mmdebstrap --quiet --variant=minbase --include="ca-certificates,netbase,tzdata${3:+,$3}" \
        --aptopt="$sources/apt.conf" --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --customize-hook="sync-in $sources/certificates /usr/local/share/ca-certificates" \
        --customize-hook='chroot "$1" update-ca-certificates' \
        --customize-hook='rm -f "$1"/etc/resolv.conf "$1"/etc/hostname' \
        --customize-hook="$4" "$2" - "$sources/sources.list" \
        | docker import --change 'CMD ["bash"]' \
            --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
            --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' - "$1" >/dev/null
}

# A server of Debian's that understands what its public image does of commands and variables.
server() { # tag, folder
    there "$1" && return
    say "making $1"
    docker build --quiet --tag "$1" "deploy/docker/stand-ins/$2" >/dev/null
}

of_trixie() {
    bootstrap $python trixie python3,python3-venv \
        'for name in python python3; do ln -s /usr/bin/python3 "$1/usr/local/bin/$name"; done'
    server $redis redis
    server $postgres postgres
}
of_sid() {
    bootstrap $debian sid '' true
    server $prometheus prometheus
}
if ! command -v mmdebstrap >/dev/null; then
    [ "$(id -u)" = 0 ] || { say "mmdebstrap is missing: apt-get install mmdebstrap"; exit 3; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi
of_trixie & trixie=$!
of_sid & sid=$!
wait $trixie
wait $sid
