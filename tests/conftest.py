"""What any test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server that runs as long as the tests do."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """Give the URL of an empty PostgreSQL database."""
    return postgres.new_database()
