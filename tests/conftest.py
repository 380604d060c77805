"""What any test may ask for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from support.postgres import PostgresServer, postgres_server
from support.redis import redis_server

_redis_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server that runs as long as the tests do."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """Give the URL of an empty PostgreSQL database."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """Give the address of a Redis server that runs as long as the tests do."""
    with redis_server() as address:
        yield address


@pytest.fixture
def redis_url(redis: str) -> str:
    """Give the URL of an empty Redis."""
    return f"{redis}/{next(_redis_numbers)}"
