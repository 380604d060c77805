"""`python -m simulation`: as many calls as wanted, and the seed of whatever went wrong.

On SQLite a campaign comes out the same each time; on PostgreSQL dialers really run side by side.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

import structlog

from simulation.running import SQLITE, Order, run
from support.postgres import postgres_server

_CALLS_EACH = 2000
_PROGRESS_S = 10.0


def main() -> int:
    """Run the command line; 1 when a promise was broken."""
    wanted = _arguments()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order in sets is part of the story
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        os.execve(  # noqa: S606 - this very program
            sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]], environment
        )
    _say(f"seed {wanted.seed}, {wanted.database}, {wanted.replicas} replicas")
    with contextlib.ExitStack() as stack:
        urls = [SQLITE] * wanted.jobs
        if wanted.database == "postgresql":
            server = stack.enter_context(postgres_server())
            urls = [server.new_database() for _ in range(wanted.jobs)]
        return _simulate(wanted, urls)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command line prints


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--attempts", type=int, default=1_000_000, help="how many calls to dial")
    parser.add_argument("--seed", type=int, help="same seed, same campaigns; default: any")
    parser.add_argument("--campaign", type=int, help="run only this campaign of the seed")
    parser.add_argument("--replicas", type=int, default=3, help="dialers on one database")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    wanted = parser.parse_args()
    if wanted.seed is None:
        wanted.seed = random.randrange(2**32)
    return wanted


def _simulate(wanted: argparse.Namespace, urls: Sequence[str]) -> int:
    began_s = time.monotonic()
    seen: Counter[str] = Counter()
    told_s = began_s
    orders = _orders(wanted)
    with ProcessPoolExecutor(len(urls), initializer=_prepare) as pool:
        running: dict[Future[Counter[str]], tuple[Order, str]] = {}
        free = list(urls)
        while True:
            while free and (order := next(orders, None)) is not None:
                url = free.pop()
                running[pool.submit(_work, order, url)] = (order, url)
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                order, url = running.pop(future)
                free.append(url)
                if (error := future.exception()) is not None:
                    pool.shutdown(cancel_futures=True)
                    return _tell_failure(wanted, order, error)
                seen += future.result()
            if time.monotonic() - told_s > _PROGRESS_S:
                told_s = time.monotonic()
                _say(_progress(seen, wanted.attempts, told_s - began_s))
    _tell_result(seen, time.monotonic() - began_s)
    return 0


def _orders(wanted: argparse.Namespace) -> Iterator[Order]:
    """Give the campaigns to run, each with its share of the calls."""
    if wanted.campaign is not None:
        yield Order(wanted.seed, wanted.campaign, _CALLS_EACH, wanted.replicas)
        return
    left = wanted.attempts
    for number in itertools.count():
        if left <= 0:
            return
        yield Order(wanted.seed, number, min(left, _CALLS_EACH), wanted.replicas)
        left -= _CALLS_EACH


def _prepare() -> None:
    """Make a process fit for long work: no log, and a collector that comes seldom."""
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _work(order: Order, url: str) -> Counter[str]:
    return run(Order(order.seed, order.number, order.calls, order.replicas, url))


def _progress(seen: Counter[str], attempts: int, passed_s: float) -> str:
    calls = seen["calls dialled"]
    return f"{calls:>10,} of {attempts:,} calls, {calls / passed_s:,.0f}/s"


def _tell_failure(wanted: argparse.Namespace, order: Order, error: BaseException) -> int:
    _say(f"campaign {order.number} of seed {order.seed} broke: {error!r}")
    options = f"--seed {order.seed} --campaign {order.number} --replicas {order.replicas}"
    _say("repeat it with:")
    _say(f"PYTHONPATH=tests .venv/bin/python -m simulation {options} --database {wanted.database}")
    return 1


def _tell_result(seen: Counter[str], passed_s: float) -> None:
    width = max(len(what) for what in seen)
    for what, count in sorted(seen.items()):
        _say(f"  {what:<{width}}  {count:>10,}")
    calls = seen["calls dialled"]
    _say(f"{calls:,} calls in {passed_s:,.0f} s, {calls / passed_s:,.0f}/s: every promise kept")


if __name__ == "__main__":
    sys.exit(main())
