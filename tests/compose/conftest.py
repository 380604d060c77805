"""The compose project, really run: a Docker Engine is found or started, else tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compose_support.engine import NoEngineError, docker_engine
from compose_support.project import Project, running_project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if "tests/compose/" in str(item.path):
            item.add_marker(pytest.mark.compose)


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """Give the running project of the demo, with room for many calls."""
    settings = {
        "MAX_CONCURRENT_CALLS": "4",
        "MAX_CALLS_PER_MINUTE": "1000",
        "OPERATOR_EXTENSIONS": "200:50",
        "FAIL_ALERT_THRESHOLD": "1000",
    }
    try:
        with docker_engine() as engine, running_project(engine, **settings) as project:
            yield project
    except NoEngineError as error:
        pytest.skip(f"Docker cannot run here: {error}")
