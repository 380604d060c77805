"""What of the chart is made from the code and other folders is up to date."""

from __future__ import annotations

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from deploy_support.chart import CHART, EXAMPLES, example, render, script

_VALIDATED_BY_THEIR_OPERATORS = {"monitoring.coreos.com", "keda.sh"}


def test_made_files_are_up_to_date() -> None:
    """Ports, settings, schema, README, rules, dashboards and the golden files follow their sources."""  # noqa: E501
    for path, text in {**script()["made_files"](), **script()["golden_files"]()}.items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run scripts/helm_chart.py"


def test_no_copy_outlives_its_source() -> None:
    """Rules and dashboards in the chart are exactly those of the folders they come from."""
    made = set(script()["made_files"]())
    for folder in ("rules", "dashboards"):
        assert set((CHART / "files" / folder).glob("*.*")) <= made


@pytest.mark.parametrize("name", ["defaults", *EXAMPLES])
def test_kubernetes_takes_every_object(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schemas of the last six Kubernetes versions take every object, unknown fields refused."""
    read: dict[tuple[str, str], object] = {}
    original = utils.schema_contents

    def once(filename: str, version: str) -> object:
        if (filename, version) not in read:
            read[filename, version] = original(filename, version)
        return read[filename, version]

    monkeypatch.setattr(utils, "schema_contents", once)  # each is read anew for every object
    minors = list(dict.fromkeys(utils.major_minor(v) for v in utils.all_versions()))[-6:]
    assert len(minors) == 6
    for found in render(example(name)):
        if found["apiVersion"].partition("/")[0] in _VALIDATED_BY_THEIR_OPERATORS:
            continue
        for version in minors:
            assert kubernetes_validate.validate(found, version, strict=True) == version


def test_the_chart_speaks_the_projects_version() -> None:
    """The chart and what it installs have the project's version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (CHART.parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{chart["version"]}"' in project
    assert chart["appVersion"] == chart["version"]
