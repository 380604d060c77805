#!/usr/bin/env bash
# Adds the Prometheus server and promtool that the tests start for themselves; nothing runs or listens
# after this. Where they are not installed, Debian's package is unpacked below .lab: installing it
# would start a server.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { echo "prometheus: $*" >&2; }

home=.lab/prometheus
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then exit 0; fi
if [ -x "$home/usr/bin/prometheus" ] && [ -x "$home/usr/bin/promtool" ]; then exit 0; fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    say "the tests need Prometheus: put prometheus and promtool on PATH"; exit 3
fi
say "adding prometheus"
if [ "$(id -u)" = 0 ]; then apt-get update -qq; fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
chmod 755 "$fresh"
(cd "$fresh" && apt-get download -qq -o APT::Sandbox::User=root prometheus)
mkdir -p "$home"
dpkg-deb --extract "$fresh"/prometheus_*.deb "$home"
