"""The reference page of metrics is true."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy_support.reference import EVERY_SERVICE, ROOT, Listed, listed, missing, strangers
from deploy_support.registries import MODULES

_FOLDERS = {
    "ari-gateway": "services/ari-gateway/src",
    "dialer": "services/dialer/src",
    "speech": "services/speech/src",
    "intent": "services/intent/src",
    "reporter": "services/reporter/src",
    EVERY_SERVICE: "libs/servicekit/src",
}


def test_the_page_is_fresh() -> None:
    """The page is what its script writes."""
    script = ROOT / "scripts" / "metrics_reference.py"
    subprocess.run([sys.executable, script, "--check"], check=True, timeout=60)


@pytest.mark.parametrize("service", [name for name in _FOLDERS if name != EVERY_SERVICE])
def test_what_a_service_exports_is_what_the_page_lists(
    exporting: dict[str, int], service: str
) -> None:
    """Name, type, labels and meaning of each metric over HTTP are those of the page."""
    exposition = httpx.get(f"http://127.0.0.1:{exporting[service]}/metrics", timeout=10).text
    assert strangers(service, exposition) == []
    assert missing(service, exposition) == []


@pytest.mark.parametrize("service", list(MODULES))
def test_counters_begin_at_zero(service: str) -> None:
    """A counter is there under every value it can have before it counts, or sums miss its first."""
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW.format(module=MODULES[service])],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    for name, metric in listed().items():
        if metric.service == service and metric.kind == "counter" and _is_known_before(metric):
            values = math.prod(len(values) for values in metric.labels.values())
            assert len(re.findall(rf"^{name}(?:{{.*}})? 0\.0$", shown, re.MULTILINE)) == values, (
                name
            )


_SHOW = """
import {module}
from prometheus_client import generate_latest
print(generate_latest().decode())
"""
# Which engines and pools there are, settings decide; few results go with few dispositions.
_KNOWN_LATER = {"engine", "pool", "result, disposition"}


def _is_known_before(metric: Listed) -> bool:
    labels = ", ".join(metric.labels)
    return not metric.open and not any(later in labels for later in _KNOWN_LATER)


def test_what_the_page_does_not_know_is_found() -> None:
    """A metric, a label and a value that are not on the page, and another meaning, each show."""
    exposition = """\
# HELP salehi_calls_live Calls under way
# TYPE salehi_calls_live gauge
salehi_calls_live{direction="sideways"} 1
salehi_calls_live{number="+98912"} 1
# HELP salehi_fillers_total Something else
# TYPE salehi_fillers_total counter
salehi_fillers_total 1
# HELP salehi_new_total New
# TYPE salehi_new_total counter
salehi_new_total 1
# HELP salehi_results_total Results taken, each attempt once
# TYPE salehi_results_total counter
salehi_results_total{result="missed"} 1
"""
    assert strangers("ari-gateway", exposition) == [
        "salehi_calls_live: direction=sideways",
        "salehi_calls_live: labels ['number']",
        "salehi_fillers_total: counter, Something else",
        "salehi_new_total",
        "salehi_results_total",
    ]


@pytest.mark.parametrize("service", list(_FOLDERS))
def test_every_value_written_in_the_code_is_listed(service: str) -> None:
    """Values of labels that stand in the code as text stand on the page as well."""
    folder = ROOT / _FOLDERS[service]
    page = listed()
    (definitions,) = folder.glob("*/metrics.py")
    names = dict(_defined(definitions))
    unlisted = {
        (name, label, value)
        for file in folder.rglob("*.py")
        for variable, values in _labelled(file)
        for name in [names[variable]]
        for label, value in zip(page[name].labels, values, strict=True)
        if value is not None and value not in page[name].labels[label]
    }
    assert unlisted == set()


def _defined(file: Path) -> Iterator[tuple[str, str]]:
    """Give the variables of a metrics module and the names on the page."""
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=variable)],
                value=ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(name)), *_]),
            ) if kind in ("Counter", "Gauge", "Histogram"):
                suffix = "_total" if kind == "Counter" else ""
                yield variable, name.removesuffix("_total") + suffix


def _labelled(file: Path) -> Iterator[tuple[str, list[str | None]]]:
    """Give each use of `METRIC.labels(...)` with the values that are written out there."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id=variable) | ast.Attribute(attr=variable), attr="labels"
                ),
                args=args,
            ) if variable.isupper():
                choices = [list(_texts(argument)) for argument in args]
                for place in range(max(map(len, choices))):
                    yield variable, [texts[min(place, len(texts) - 1)] for texts in choices]


def _texts(argument: ast.expr) -> Iterator[str | None]:
    match argument:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)
        case _:
            yield None
