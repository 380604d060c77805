"""The dashboards show something, wherever the services run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy_support.dashboards import DASHBOARDS, panels, queries
from deploy_support.prometheus import Prometheus
from deploy_support.reference import ROOT


def _queries(name: str) -> list[tuple[str, str]]:
    return list(queries(DASHBOARDS[name], rate_interval="10s", time_shown="1m"))


def test_the_dashboards_are_fresh() -> None:
    """The dashboards are what their script writes."""
    script = ROOT / "scripts" / "dashboards"
    subprocess.run([sys.executable, script, "--check"], check=True, timeout=60)
    assert list(DASHBOARDS) == [
        "salehi-calls",
        "salehi-campaign",
        "salehi-providers",
        "salehi-services",
    ]


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_every_query_gives_data(measured: Prometheus, name: str) -> None:
    """A Prometheus that scraped the services answers each panel, without an error."""
    sent = _queries(name)
    empty = [title for title, expr in sent if not measured.query(expr)]
    assert empty == []
    assert all("$" not in expr for _, expr in sent), "a variable nobody fills in"


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_no_figure_is_nothing(measured: Prometheus, name: str) -> None:
    """No panel shows NaN while calls go on: each division has something to divide by."""
    for title, expr in _queries(name):
        values = [series["value"][1] for series in measured.query(expr)]
        assert any(value not in ("NaN", "+Inf", "-Inf") for value in values), title


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_every_panel_can_be_read(name: str) -> None:
    """Each panel is named once, is described, has a unit, and lies over no other."""
    dashboard = DASHBOARDS[name]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    for panel in panels(dashboard):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert dashboard["uid"] == name
