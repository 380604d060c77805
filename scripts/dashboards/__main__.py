"""Writes deploy/grafana/dashboards, or with --check says whether they are stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from calls import CALLS
from campaign import CAMPAIGN
from providers import PROVIDERS
from services import SERVICES

HOME = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"


def main() -> None:
    """Write the dashboards, or compare them."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: python scripts/dashboards [--check]")
    made = {
        HOME / f"{dashboard.uid}.json": json.dumps(dashboard.json(), indent=2) + "\n"
        for dashboard in (CAMPAIGN, CALLS, PROVIDERS, SERVICES)
    }
    if sys.argv[1:]:
        kept = {path: path.read_text() for path in HOME.glob("*.json")}
        if kept != made:
            sys.exit("deploy/grafana/dashboards is stale: run python scripts/dashboards")
        return
    for path, text in made.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
