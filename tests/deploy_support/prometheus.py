"""A real Prometheus for tests, gone with the block, that scrapes exporters of all services."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy_support.reference import ROOT
from support.ports import free_port

HOME = ROOT / "deploy" / "prometheus"
RULES = HOME / "rules" / "salehi.yaml"
_UNPACKED = ROOT / ".lab" / "prometheus" / "usr" / "bin"
_EVERY = "500ms"
_SCRAPES = 4
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Prometheus:
    """A server that answers."""

    address: str

    def query(self, expr: str, at_s: float | None = None) -> list[Any]:
        """Give the result of an expression; fails with the server's words where it is wrong.

        Args:
            expr: PromQL.
            at_s: the moment it is asked for, in seconds since 1970; None: now.
        """
        moment = {} if at_s is None else {"time": str(at_s)}
        answer = self.get("query", query=expr, **moment)
        assert answer["status"] == "success", f"{expr}: {answer['error']}"
        result: list[Any] = answer["data"]["result"]
        return result

    def get(self, path: str, **parameters: str) -> Any:
        """Ask the HTTP API."""
        return httpx.get(f"{self.address}/api/v1/{path}", params=parameters, timeout=10).json()


def program(name: str) -> str:
    """Find `prometheus` or `promtool`."""
    found = shutil.which(name) or shutil.which(name, path=str(_UNPACKED))
    assert found, f"{name} is missing: run scripts/prometheus.sh"
    return found


@contextmanager
def exporters() -> Iterator[dict[str, int]]:
    """Run the exporters of all services; give their ports."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy_support.exporters"],
        cwd=ROOT / "tests",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        ports = process.stdout.readline()
        assert ports, "the exporters ended at once; their story is above"
        yield json.loads(ports)
        process.stdin.close()


@contextmanager
def prometheus(ports: dict[str, int]) -> Iterator[Prometheus]:
    """Run a Prometheus for as long as a block lasts; it has scraped these exporters before."""
    with empty_prometheus(ports) as server:
        _wait_for(server, _scraped(len(ports)))
        yield server


@contextmanager
def empty_prometheus(ports: dict[str, int]) -> Iterator[Prometheus]:
    """Run one for services that need not be there yet.

    It has the project's configuration and rules, but looks more often.

    Args:
        ports: of /metrics, by service.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "prometheus.yml"
        config.write_text(yaml.safe_dump(_config(ports)))
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]
        )
        server = Prometheus(f"http://127.0.0.1:{port}")
        try:
            _wait_for(server, "vector(1)")
            yield server
        finally:
            process.terminate()
            process.wait()


def configured_ports() -> dict[str, int]:
    """Give the ports the project's own configuration scrapes, by service."""
    config = yaml.safe_load((HOME / "prometheus.yml").read_text())
    return {
        job["job_name"]: int(target.rpartition(":")[2])
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }


def _config(ports: dict[str, int]) -> Any:
    config = yaml.safe_load((HOME / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": _EVERY, "evaluation_interval": _EVERY}
    config["rule_files"] = [str(HOME / pattern) for pattern in config["rule_files"]]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs.keys() == ports.keys()
    for name, job in jobs.items():
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[name]}"]}]
    return config


def _scraped(jobs: int) -> str:
    """Give the expression that holds when every job was scraped a few times, and rules saw that."""
    return f"count(count_over_time(up[1m]) >= {_SCRAPES}) == {jobs} and on () salehi:asr:ratio30m"


def _wait_for(server: Prometheus, expr: str) -> None:
    """Wait until an expression gives something."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if server.query(expr):
                return
        except (httpx.TransportError, ValueError):  # not there yet, or still reading its data
            pass
        assert time.monotonic() < deadline_s, f"Prometheus has no data of {expr}"
        time.sleep(0.1)
