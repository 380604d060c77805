"""Five exporters on free ports, whose figures move as those of a campaign do.

`python -m deploy_support.exporters` prints their ports as JSON, by service, and serves until stdin
is closed. Which labels and values there are, it takes from the reference page.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading

from prometheus_client import Counter, Gauge, start_http_server

from deploy_support.reference import listed
from deploy_support.registries import MODULES, SHARED, Figure, figures_of, registry_of

_STEP_S = 0.2


def main() -> None:
    """Serve."""
    ports = {}
    for service in MODULES:
        server, _ = start_http_server(0, addr="127.0.0.1", registry=registry_of(service))
        ports[service] = server.server_port
    _move()
    sys.stdout.write(f"{json.dumps(ports)}\n")
    sys.stdout.flush()
    done = threading.Event()
    threading.Thread(target=_wait_for_end, args=(done,), daemon=True).start()
    while not done.wait(_STEP_S):
        _move()


def _wait_for_end(done: threading.Event) -> None:
    sys.stdin.read()
    done.set()


def _move() -> None:
    """Let each figure go on by a step, under every label the page names."""
    page = listed()
    for module in (*MODULES.values(), SHARED):
        for name, figure in figures_of(module).items():
            labels = page[name].labels
            for values in itertools.product(*labels.values()):
                _step(figure.labels(**dict(zip(labels, values, strict=True))) if labels else figure)


def _step(figure: Figure) -> None:
    if isinstance(figure, Counter):
        figure.inc(random.randint(1, 5))
    elif isinstance(figure, Gauge):
        figure.set(random.randint(1, 3))
    else:
        figure.observe(random.lognormvariate(0, 1))


if __name__ == "__main__":
    main()
