"""The reference page of metrics, read back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "metrics.md"
EVERY_SERVICE = "Every service"


@dataclass(frozen=True)
class Listed:
    """One line of the page.

    Attributes:
        service: the heading it stands under.
        labels: values by label; examples of them where the set is `open`.
        open: labels whose values are decided elsewhere.
    """

    service: str
    name: str
    kind: str
    labels: dict[str, tuple[str, ...]]
    open: frozenset[str]
    meaning: str


def listed() -> dict[str, Listed]:
    """Give the lines of the page by the metric's name."""
    service, found = "", {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            service = line.removeprefix("## ")
        elif line.startswith("| `"):
            metric = _read(service, line)
            assert metric.name not in found, f"{metric.name} stands there twice"
            found[metric.name] = metric
    return found


def _read(service: str, line: str) -> Listed:
    name, kind, _unit, labels, meaning = (cell.strip() for cell in line.strip("|").split("|"))
    values: dict[str, tuple[str, ...]] = {}
    undecided = set()
    for part in filter(None, labels.split("; ")):
        label, _, text = part.partition(": ")
        values[label] = tuple(re.findall(r"`([^`]+)`", text))
        assert values[label], f"{name}: no values of {label}"
        if text.startswith("such as"):
            undecided.add(label)
    return Listed(service, name.strip("`"), kind, values, frozenset(undecided), meaning)


def strangers(service: str, exposition: str) -> list[str]:
    """Give what a service's /metrics shows and the page does not know: metrics, labels, values."""
    page, found = listed(), set()
    for family in text_string_to_metric_families(exposition):
        if not family.name.startswith("salehi_"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        known = page.get(name)
        if known is None or known.service not in (service, EVERY_SERVICE):
            found.add(name)
            continue
        if (known.kind, known.meaning) != (family.type, family.documentation):
            found.add(f"{name}: {family.type}, {family.documentation}")
        for sample in family.samples:
            labels = {label: value for label, value in sample.labels.items() if label != "le"}
            if labels.keys() != known.labels.keys():
                found.add(f"{name}: labels {sorted(labels)}")
                continue
            found |= {
                f"{name}: {label}={value}"
                for label, value in labels.items()
                if label not in known.open and value not in known.labels[label]
            }
    return sorted(found)


def missing(service: str, exposition: str) -> list[str]:
    """Give the metrics the page lists for a service, and its /metrics does not show."""
    shown = set(re.findall(r"^# HELP (\S+) ", exposition, re.MULTILINE))
    return sorted(
        name
        for name, metric in listed().items()
        if metric.service in (service, EVERY_SERVICE) and name not in shown
    )
