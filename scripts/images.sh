#!/usr/bin/env bash
# Builds the images of docker-compose.yml and of the chart, and prints their sizes.
set -euo pipefail
cd "$(dirname "$0")/.."
# An engine of the project's own, where one was started.
eval "$(deploy/docker/engine.sh env)"
docker info >/dev/null 2>&1 || {
    echo "images: no Docker Engine answers: start yours, or deploy/docker/engine.sh install and start" >&2; exit 3; }
SALEHI_REVISION=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
export SALEHI_REVISION
docker compose --env-file deploy/docker/demo.env build --quiet
docker image ls --format 'table {{.Repository}}:{{.Tag}}\t{{.Size}}' --filter 'reference=salehi/*'
