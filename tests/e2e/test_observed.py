"""What a real campaign shows of itself: the demo's metrics, and the dashboards over them."""

from __future__ import annotations

import pytest

from deploy_support.dashboards import DASHBOARDS, queries
from deploy_support.reference import missing, strangers
from deploy_support.registries import MODULES
from e2e_support.demo import Answers, DemoRun
from lab.demo.cast import CAST

_NO_LLM = "no LLM is set: rules decide"
_NO_FAULTS = "no RPC fails"
_NO_SLOTS = "OPERATOR_SLOTS is not set"
_ALL_UNDERSTOOD = "one engine, and it never fails"
_NOTHING_SPOKEN = "the prompts were spoken before the services started"
# Panels with nothing to show after a healthy campaign of rules and the engine on board, and why.
EMPTY = {
    ("salehi-campaign", "Operators / Operators (A)"): _NO_SLOTS,
    ("salehi-providers", "Latency / LLM (A)"): _NO_LLM,
    ("salehi-providers", "Latency / LLM (B)"): _NO_LLM,
    ("salehi-providers", "Errors / Questions to the LLM by outcome, per minute (A)"): _NO_LLM,
    ("salehi-providers", "Latency / Speaking a text, 95th percentile (A)"): _NOTHING_SPOKEN,
    (
        "salehi-providers",
        "Errors / Asked again, or given to the next, per minute (A)",
    ): _ALL_UNDERSTOOD,
    (
        "salehi-providers",
        "Errors / Asked again, or given to the next, per minute (B)",
    ): _ALL_UNDERSTOOD,
    ("salehi-services", "Requests (as served) / Faults per second (A)"): _NO_FAULTS,
}
# Panels that show something when a service was asked before it was there: a matter of luck.
LUCK = {("salehi-services", "Requests (as sent) / Faults per second (A)")}
_NOTHING = ("NaN", "+Inf", "-Inf")


@pytest.mark.parametrize("service", list(MODULES))
def test_a_service_shows_what_the_page_lists(demo: DemoRun, service: str) -> None:
    """After a campaign a service shows the page's metrics, and no other metric or label value."""
    assert strangers(service, demo.exposed[service]) == []
    assert missing(service, demo.exposed[service]) == []


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_every_panel_shows_the_campaign(demo: DemoRun, name: str) -> None:
    """Each query has an answer, but for those with a reason; and no reason is out of date."""
    answers = demo.answers[name]
    titles = [title for title, _ in queries(DASHBOARDS[name], rate_interval="", time_shown="")]
    assert list(answers) == titles
    empty = {(name, title) for title in titles if not _figures(answers, title)}
    assert empty - LUCK == {panel for panel in EMPTY if panel[0] == name}
    assert {title for dashboard, title in LUCK if dashboard == name} <= set(titles)


def test_the_dashboards_count_every_result(demo: DemoRun) -> None:
    """The results shown are all twelve: none is missed because it was the first of its kind."""
    shown = sum(_figures(demo.answers["salehi-campaign"], "Results / Results in this time (A)"))
    assert shown == pytest.approx(len(CAST), abs=0.9)  # Prometheus reckons between its samples


def _figures(answers: Answers, title: str) -> list[float]:
    values = [series["value"][1] for series in answers[title]]
    return [float(value) for value in values if value not in _NOTHING]
