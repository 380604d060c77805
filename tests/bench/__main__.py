"""`python -m bench`: what is done per second on either database, and what a reply costs."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from bench.dialing import DialingBench
from bench.results import ResultsBench
from bench.understanding import UnderstandingBench
from support.postgres import postgres_server


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--waiting", type=int, default=200_000, help="contacts that wait")
    parser.add_argument("--runs", type=int, default=5, help="runs per figure; the median counts")
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    _say(f"{wanted.waiting:,} contacts waiting, median (and range) of {wanted.runs} runs")
    with tempfile.TemporaryDirectory() as directory, postgres_server(careless=False) as server:
        files = Path(directory)
        for name, dialer_url, reporter_url in (
            ("SQLite", f"sqlite:///{files}/dialer.db", f"sqlite:///{files}/reporter.db"),
            ("PostgreSQL", server.new_database(), server.new_database()),
        ):
            asyncio.run(_bench(wanted, name, dialer_url, reporter_url))
    asyncio.run(_bench_replies(wanted.runs))
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command line prints


async def _bench(wanted: argparse.Namespace, name: str, dialer_url: str, reporter_url: str) -> None:
    async for figure in DialingBench(dialer_url, name, wanted.runs).figures(wanted.waiting):
        _say(str(figure))
    async for figure in ResultsBench(reporter_url, name, wanted.runs).figures():
        _say(str(figure))


async def _bench_replies(runs: int) -> None:
    async for figure in UnderstandingBench(runs).figures():
        _say(str(figure))


if __name__ == "__main__":
    sys.exit(main())
