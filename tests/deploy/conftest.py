"""What tests of the deployment may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy_support.prometheus import Prometheus, exporters, prometheus


@pytest.fixture(scope="session")
def exporting() -> Iterator[dict[str, int]]:
    """Give the ports of exporters that show what the five services show."""
    with exporters() as ports:
        yield ports


@pytest.fixture(scope="session")
def measured(exporting: dict[str, int]) -> Iterator[Prometheus]:
    """Give a Prometheus that has scraped the exporters, and knows the rules."""
    with prometheus(exporting) as server:
        yield server
