#!/usr/bin/env bash
# Docker Engine, compose and buildx from Debian's packages, for a machine that has none.
#
#   engine.sh install   adds what is missing (as root, on Debian)
#   engine.sh start     starts an engine of this project's own below .lab/docker, beside any other
#   engine.sh stop      ends it, and takes its network away
#   engine.sh purge     stop, and remove every image and volume it has
#   engine.sh env       prints the variables by which docker finds engine, compose and buildx
#
# ENGINE_DIR names another directory than .lab/docker.
set -euo pipefail
cd "$(dirname "$0")/../.."
say() { echo "engine: $*" >&2; }

home=${ENGINE_DIR:-$PWD/.lab/docker}
socket=$home/docker.sock
pidfile=$home/docker.pid
plugins=$home/packages/usr/libexec/docker/cli-plugins
as_root() { [ "$(id -u)" = 0 ] || { say "this takes root: run it again with sudo"; exit 3; }; }

install_engine() {
    command -v dockerd >/dev/null && command -v docker >/dev/null && return
    as_root
    command -v apt-get >/dev/null || { say "there is no apt-get here: install Docker Engine"; exit 3; }
    say "adding docker.io"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io iptables >/dev/null
}

# Compose v2 and buildx are in Debian's sid; unpacked here, they change nothing of the system.
install_plugins() {
    if docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then return; fi
    [ -x "$plugins/docker-compose" ] && [ -x "$plugins/docker-buildx" ] && return
    say "adding compose and buildx"
    local fresh; fresh=$(mktemp -d)
    chmod 755 "$fresh"
    mkdir -p "$fresh/lists/partial"
    .venv/bin/python scripts/debian_suite.py sid "$fresh"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$fresh/sources.list" -o Dir::Etc::SourceParts=-
        -o "Dir::State::Lists=$fresh/lists" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
        -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$fresh" && "${apt[@]}" download docker-compose docker-buildx)
    mkdir -p "$home/packages"
    for package in "$fresh"/docker-*.deb; do dpkg-deb --extract "$package" "$home/packages"; done
    rm -rf "$fresh"
}

start() {
    as_root
    if [ -S "$socket" ] && docker --host "unix://$socket" info >/dev/null 2>&1; then return; fi
    if docker info >/dev/null 2>&1; then say "an engine runs here already: use that"; exit 3; fi
    mkdir -p "$home"
    iptables-save > "$home/iptables.before"
    cat /proc/sys/net/ipv4/ip_forward > "$home/forward.before"
    setsid dockerd --data-root "$home/data" --exec-root "$home/exec" --host "unix://$socket" \
        --pidfile "$pidfile" > "$home/dockerd.log" 2>&1 < /dev/null &
    local pid=$!
    for _ in $(seq 300); do
        docker --host "unix://$socket" info >/dev/null 2>&1 && return
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    say "dockerd does not start here: $(grep -oE '(msg="failed|failed to|Error|error).*' "$home/dockerd.log" | tail -n 1)"
    say "its log is $home/dockerd.log"
    stop
    exit 4
}

stop() {
    as_root
    if [ -e "$pidfile" ]; then
        local pid; pid=$(cat "$pidfile")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    fi
    if [ -e "$home/iptables.before" ]; then
        ip link delete docker0 2>/dev/null || true
        # Tables that were not there before are emptied: no rule of Docker's is left.
        { for table in filter nat; do
            printf '*%s\n' "$table"
            [ "$table" = filter ] && printf ':INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n'
            [ "$table" = nat ] && printf ':PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n'
            echo COMMIT
        done; cat "$home/iptables.before"; } | iptables-restore
        cat "$home/forward.before" > /proc/sys/net/ipv4/ip_forward
        rm "$home/iptables.before" "$home/forward.before"
    fi
}

purge() {
    stop
    rm -rf "$home/data" "$home/exec" "$home/dockerd.log"
}

print_env() {
    if [ -S "$socket" ]; then echo "export DOCKER_HOST=unix://$socket"; fi
    if [ -d "$plugins" ]; then
        mkdir -p "$home/client"
        printf '{"cliPluginsExtraDirs": ["%s"]}\n' "$plugins" > "$home/client/config.json"
        echo "export DOCKER_CONFIG=$home/client"
    fi
}

case "${1:-}" in
    install) install_engine; install_plugins ;;
    start) start ;;
    stop) stop ;;
    purge) purge ;;
    env) print_env ;;
    *) echo "usage: deploy/docker/engine.sh install|start|stop|purge|env" >&2; exit 2 ;;
esac
