"""The demo, run once for all tests that look at it, and watched by a Prometheus meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx

from deploy_support.dashboards import DASHBOARDS, queries
from deploy_support.prometheus import Prometheus, configured_ports, empty_prometheus
from e2e_support.stack import PROGRAMS
from lab.demo.cast import CAST
from lab.paths import REPOSITORY, LabPaths

_LOG = REPOSITORY / "logs/app.log"
_LONGEST_S = 300
_EVERY_S = 0.5
# The demo looks for doubles for three seconds after its last call.
_SETTLED_S = 2.0
_OVER = f"sum(salehi_dialer_attempts_total) == {len(CAST)}"

Answers: TypeAlias = dict[str, list[Any]]
"""What came back for each query of a dashboard, by its title."""


@dataclass(frozen=True)
class DemoRun:
    """A demo that is over.

    Attributes:
        status: the command's.
        shown: what it printed.
        logged: what the services logged and printed.
        exposed: the last /metrics of each service.
        answers: of each dashboard, as it stood after the last call.
    """

    status: int
    shown: str
    logged: str
    exposed: dict[str, str]
    answers: dict[str, Answers]


async def run_demo(paths: LabPaths) -> DemoRun:
    """Run the demo."""
    before = _LOG.stat().st_size if _LOG.exists() else 0
    ports = configured_ports()
    with empty_prometheus(ports) as prometheus:
        process = await asyncio.create_subprocess_exec(
            PROGRAMS / "python",
            "-m",
            "lab.demo",
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        exposed: dict[str, str] = {}
        watching = asyncio.create_task(_watch(ports, exposed))
        try:
            async with asyncio.timeout(_LONGEST_S):
                shown, _ = await process.communicate()
        finally:
            watching.cancel()
        answers = {name: _ask(prometheus, dashboard) for name, dashboard in DASHBOARDS.items()}
    with _LOG.open("rb") as log:
        log.seek(before if _LOG.stat().st_size >= before else 0)
        logged = log.read().decode()
    logged += (paths.base / "demo/services.log").read_text(encoding="utf-8")
    assert process.returncode is not None
    return DemoRun(process.returncode, shown.decode(), logged, exposed, answers)


async def _watch(ports: dict[str, int], exposed: dict[str, str]) -> None:
    """Keep what each service shows last."""
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            for service, port in ports.items():
                with contextlib.suppress(httpx.TransportError):  # not there yet, or gone
                    exposed[service] = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            await asyncio.sleep(_EVERY_S)


def _ask(prometheus: Prometheus, dashboard: Any) -> Answers:
    """Send a dashboard's queries for the moment when all was over; none when it never was."""
    over = prometheus.query(f"min_over_time(timestamp({_OVER})[10m:1s])")
    if not over:
        return {}
    at_s = float(over[0]["value"][1]) + _SETTLED_S
    sent = queries(dashboard, rate_interval="5m", time_shown="5m")
    return {title: prometheus.query(expr, at_s) for title, expr in sent}
