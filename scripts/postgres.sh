#!/usr/bin/env bash
# Adds the PostgreSQL server that the tests start for themselves; nothing runs or listens after this.
set -euo pipefail
say() { echo "postgres: $*" >&2; }

if compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "the tests need a PostgreSQL server: apt-get install postgresql"; exit 3
fi
say "adding postgresql"
# The package would else make a database cluster of its own and start it.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Options::=--force-confold postgresql >/dev/null
