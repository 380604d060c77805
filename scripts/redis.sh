#!/usr/bin/env bash
# Adds the Redis server that the tests start for themselves; nothing runs or listens after this.
set -euo pipefail
say() { echo "redis: $*" >&2; }

if command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "the tests need a Redis server: apt-get install redis-tools"; exit 3
fi
say "adding redis-tools"
# It holds the server's program as well; the package redis-server would also start one.
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-tools >/dev/null
