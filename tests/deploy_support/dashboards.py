"""The dashboards, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from deploy_support.reference import ROOT

HOME = ROOT / "deploy" / "grafana" / "dashboards"
DASHBOARDS: dict[str, Any] = {
    path.stem: json.loads(path.read_text()) for path in sorted(HOME.glob("*.json"))
}
# What Grafana puts in place of its variables, but the time shown.
_VARIABLES = {"$line": ".*", "$job": ".*"}


def panels(dashboard: Any) -> list[Any]:
    """Give the panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard: Any, *, rate_interval: str, time_shown: str) -> Iterator[tuple[str, str]]:
    """Give each query of each panel under `row / title (letter)`, as Grafana would send it.

    Args:
        dashboard: one of DASHBOARDS.
        rate_interval: what Grafana would put for $__rate_interval, such as `10s`.
        time_shown: likewise for $__range.
    """
    variables = {
        **_VARIABLES,
        "$__rate_interval": rate_interval,
        "$__range": time_shown,
    }
    row = ""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
            continue
        for target in panel["targets"]:
            expr = target["expr"]
            for variable, value in variables.items():
                expr = expr.replace(variable, value)
            yield f"{row} / {panel['title']} ({target['refId']})", expr
