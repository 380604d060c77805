"""Opening a database and writing to it: what goes wrong is one clear line or word."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from servicekit.database import open_database
from servicekit.errors import StartupError
from servicekit.storage import StoreUnavailable, WholeTransactions

_TABLE = text("CREATE TABLE kept (number INTEGER)")
_INSERT = text("INSERT INTO kept VALUES (1)")
_COUNT = text("SELECT count(*) FROM kept")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "is not a database address"),
        ("mysql://root@127.0.0.1/x", "only sqlite and postgresql are supported"),
        ("sqlite:////proc/none/x.db", "cannot be made"),
        ("postgresql://u:hush@127.0.0.1:9/x", "cannot be opened"),
    ],
)
async def test_a_bad_address_is_one_line(url: str, says: str) -> None:
    """An address that cannot be used is one line with the setting's name and without a password."""
    with pytest.raises(StartupError) as error:
        await open_database(url, "ari_gateway:migrations", setting="SESSION_STORE_URL")
    line = str(error.value)
    assert line.startswith("SESSION_STORE_URL")
    assert says in line
    assert "\n" not in line
    assert "hush" not in line


async def test_a_database_of_a_newer_version_is_one_line(tmp_path: Path) -> None:
    """A database a newer version has migrated is refused with what to do, and left as it is."""
    file = tmp_path / "calls.db"
    url = f"sqlite:///{file}"
    await (await open_database(url, "ari_gateway:migrations")).dispose()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE gateway_alembic_version SET version_num = 'v9999'")
        database.commit()
    with pytest.raises(StartupError, match="newer version") as error:
        await open_database(url, "ari_gateway:migrations")
    assert "\n" not in str(error.value)


async def test_work_that_fails_changes_nothing(tmp_path: Path) -> None:
    """What a function wrote before it raised is undone, and the next one finds the door open."""
    async with _transactions(tmp_path / "calls.db") as transactions:
        await transactions.run(lambda connection: connection.execute(_TABLE))

        def fail(connection: Connection) -> None:
            connection.execute(_INSERT)
            raise LookupError

        with pytest.raises(LookupError):
            await transactions.run(fail)
        await transactions.run(lambda connection: connection.execute(_INSERT))
        count = await transactions.run(lambda connection: connection.execute(_COUNT).scalar())
        assert count == 1


async def test_a_file_that_is_locked_is_an_unavailable_store(tmp_path: Path) -> None:
    """While another process holds the file the work is refused in the house's word, then done."""
    file = tmp_path / "calls.db"
    async with _transactions(file) as transactions:
        await transactions.run(lambda connection: connection.execute(_TABLE))
        await transactions.run(lambda connection: connection.execute(text("PRAGMA busy_timeout=9")))
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="OperationalError"):
                await transactions.run(lambda connection: connection.execute(_INSERT))
        await transactions.run(lambda connection: connection.execute(_INSERT))


@contextlib.asynccontextmanager
async def _transactions(file: Path) -> AsyncIterator[WholeTransactions]:
    engine = await open_database(f"sqlite:///{file}", "ari_gateway:migrations")
    transactions = WholeTransactions(engine)
    try:
        yield transactions
    finally:
        await transactions.close()
        await engine.dispose()
