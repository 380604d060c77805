"""The few forms of panel the dashboards are made of, as Grafana's JSON (schema 39)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24


@dataclass(frozen=True)
class Query:
    """One PromQL expression and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        description: what it shows and what to do when it looks bad.
        unit: Grafana's name of the unit: s, percentunit, short, reqps, bytes, cpm (per minute).
        warn_at: from here on yellow; None for no colours.
        alarm_at: from here on red, or up to here where `low_is_bad`.
        form: timeseries, stat or bargauge.
        words: what single values mean, for states.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    warn_at: float | None = None
    alarm_at: float | None = None
    low_is_bad: bool = False
    form: str = "timeseries"
    width: int = 12
    height: int = 8
    stacked: bool = False
    words: dict[int, str] = field(default_factory=dict)

    def json(self, number: int, x: int, y: int) -> Json:
        """Give the panel at its place."""
        return {
            "id": number,
            "type": self.form,
            "title": self.title,
            "description": self.description,
            "datasource": _SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [self._target(place) for place in range(len(self.queries))],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }

    def _target(self, place: int) -> Json:
        query = self.queries[place]
        return {
            "refId": chr(ord("A") + place),
            "datasource": _SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "instant": self.form != "timeseries",
            "range": self.form == "timeseries",
        }

    def _defaults(self) -> Json:
        defaults: Json = {"unit": self.unit, "min": 0, "thresholds": self._thresholds()}
        if self.unit == "percentunit" and self.form != "timeseries":
            defaults["max"] = 1
        if self.words:
            options = {str(value): {"text": word} for value, word in self.words.items()}
            defaults["mappings"] = [{"type": "value", "options": options}]
        if self.form == "timeseries":
            shown = self.warn_at is not None or self.alarm_at is not None
            defaults["custom"] = {
                "fillOpacity": 30 if self.stacked else 5,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none"},
                "thresholdsStyle": {"mode": "line" if shown else "off"},
            }
        return defaults

    def _thresholds(self) -> Json:
        steps: dict[float | None, str]
        if self.low_is_bad:
            steps = {None: "red", self.alarm_at: "yellow"}
            steps[self.alarm_at if self.warn_at is None else self.warn_at] = "green"
        else:
            steps = {None: "green"}
            limits = ((self.warn_at, "yellow"), (self.alarm_at, "red"))
            steps |= {limit: color for limit, color in limits if limit is not None}
        ordered = [{"color": color, "value": limit} for limit, color in steps.items()]
        return {"mode": "absolute", "steps": ordered}

    def _options(self) -> Json:
        if self.form == "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value" if self.form == "stat" else "background",
            "orientation": "auto" if self.form == "stat" else "horizontal",
            "displayMode": "basic",
        }


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        uid: its name in addresses and files.
        window: from when on it shows, as Grafana writes it.
        variables: besides the data source, label by metric that has it.
    """

    uid: str
    title: str
    description: str
    window: str
    rows: Sequence[Row]
    variables: dict[str, str] = field(default_factory=dict)

    def json(self) -> Json:
        """Give the whole as Grafana's JSON."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["salehi"],
            "schemaVersion": 39,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": self.window, "to": "now"},
            "timezone": "browser",
            "links": [_LINK],
            "templating": {"list": [_DATASOURCE, *self._variables()]},
            "panels": list(_placed(self.rows)),
        }

    def _variables(self) -> Iterable[Json]:
        for label, metric in self.variables.items():
            query = f"label_values({metric}, {label})"
            yield {
                "name": label,
                "label": label,
                "type": "query",
                "datasource": _SOURCE,
                "definition": query,
                "query": {"query": query, "refId": "variable"},
                "refresh": 2,
                "sort": 1,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            }


_DATASOURCE: Json = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "refresh": 1,
}
_LINK: Json = {
    "title": "Salehi",
    "type": "dashboards",
    "tags": ["salehi"],
    "asDropdown": True,
    "keepTime": True,
    "includeVars": True,
}


def _placed(rows: Sequence[Row]) -> Iterable[Json]:
    """Give the panels, from left to right and down the page."""
    number, y = 1, 0
    for row in rows:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
            "panels": [],
        }
        number, y, x, tallest = number + 1, y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y, tallest = 0, y + tallest, 0
            yield panel.json(number, x, y)
            number, x, tallest = number + 1, x + panel.width, max(tallest, panel.height)
        y += tallest


def stat(title: str, description: str, expr: str, **options: Any) -> Panel:
    """Make a panel of one figure."""
    return Panel(title, description, [Query(expr)], form="stat", width=4, height=4, **options)


def quantiles(metric: str, by: str = "", shares: Sequence[float] = (0.5, 0.95)) -> list[Query]:
    """Give quantiles of a histogram, by a label where one is named."""
    labels = f"le, {by}" if by else "le"
    rate = f"sum by ({labels}) (rate({metric}_bucket[$__rate_interval]))"
    named = f"{{{{{by}}}}} " if by else ""
    return [
        Query(f"histogram_quantile({share}, {rate})", f"{named}p{share * 100:g}")
        for share in shares
    ]


def per_minute(counter: str, by: str, matching: str = "") -> Query:
    """Give how often something is counted per minute, by a label."""
    rate = (
        f"rate({counter}{{{matching}}}[$__rate_interval])"
        if matching
        else (f"rate({counter}[$__rate_interval])")
    )
    return Query(f"60 * sum by ({by}) ({rate})", f"{{{{{by}}}}}")
