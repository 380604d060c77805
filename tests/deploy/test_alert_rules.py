"""The alert rules say what they should, when they should."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import yaml

from deploy_support.prometheus import HOME, RULES, Prometheus, program
from deploy_support.reference import ROOT

TESTS = sorted((HOME / "tests").glob("*.yaml"))
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def _promtool(*arguments: str) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_and_the_configuration_are_valid() -> None:
    """Prometheus takes both files."""
    _promtool("check", "config", str(HOME / "prometheus.yml"))
    _promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))


def test_the_alerts_sound_when_they_should() -> None:
    """Each alert sounds on series that call for it, and stays silent on those that come close."""
    _promtool("test", "rules", *map(str, TESTS))
    tested = "".join(path.read_text() for path in TESTS)
    assert [name for name in ALERTS if name not in tested] == []


def test_every_rule_works_on_what_the_services_export(measured: Prometheus) -> None:
    """With real figures no rule ends in an error, and each recording has a value."""
    groups = measured.get("rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    recordings = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert [name for name in recordings if not measured.query(name)] == []


def test_every_selector_of_a_rule_finds_something(measured: Prometheus) -> None:
    """Each metric with its labels that a rule names is one that the services export."""
    rules: Any = yaml.safe_load(RULES.read_text())
    text = "\n".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    selectors = set(re.findall(r"(?:salehi_\w+|up)(?:\{[^}]*\})?", text))
    assert len(selectors) > len(ALERTS)
    assert [selector for selector in selectors if not measured.query(selector)] == []


def test_every_alert_has_its_chapter() -> None:
    """Each alert has a severity, a summary, a description and a chapter of docs/alerts.md."""
    chapters = re.findall(r"^## (\w+)$", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)
    assert sorted(chapters) == sorted(ALERTS)
    for name, alert in ALERTS.items():
        assert alert["labels"]["severity"] in ("critical", "warning"), name
        assert alert["annotations"].keys() == {"summary", "description", "runbook"}, name
        assert alert["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
