"""Opening a database and writing to it: what goes wrong is one clear line or word."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from servicekit import sqlite
from servicekit.database import open_database
from servicekit.errors import StartupError
from servicekit.storage import Storage, StoreUnavailable, WholeTransactions

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


async def test_a_file_in_another_process_hands_is_waited_for_in_the_loop(tmp_path: Path) -> None:
    """A transaction waits for another process's to end, and the event loop goes on meanwhile."""
    file = tmp_path / "calls.db"
    async with _storage(file) as storage:
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(_insert(storage))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            other.rollback()
        await waiting
        assert await _count(storage) == 1


async def test_a_file_that_stays_locked_is_an_unavailable_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that another process keeps for too long is told in the house's word."""
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.05)
    file = tmp_path / "calls.db"
    async with _storage(file) as storage:
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="OperationalError"):
                await _insert(storage)
        await _insert(storage)
        assert await _count(storage) == 1


async def test_who_is_cancelled_leaves_the_database_usable(tmp_path: Path) -> None:
    """Wherever a transaction is cancelled, it is whole or not there and the next goes through."""
    async with _storage(tmp_path / "calls.db") as storage:
        kept = 0
        for steps in range(40):
            inserting = asyncio.create_task(_insert(storage))
            for _ in range(steps):
                await asyncio.sleep(0)
            inserting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await inserting
            before, kept = kept, await _count(storage)
            assert kept in {before, before + 1}
        assert 0 < kept < 40


async def test_many_rows_and_none_are_written(tmp_path: Path) -> None:
    """Rows given at once are all there for the next process, and reading changes nothing."""
    file = tmp_path / "calls.db"
    async with _storage(file) as storage:
        rows = [{"number": number} for number in range(1000)]
        async with storage.transaction() as connection:
            await connection.execute(text("INSERT INTO kept VALUES (:number)"), rows)
        assert await _count(storage) == len(rows)
    with contextlib.closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT count(*), max(number) FROM kept").fetchone() == (1000, 999)


@contextlib.asynccontextmanager
async def _transactions(file: Path) -> AsyncIterator[WholeTransactions]:
    engine = await open_database(f"sqlite:///{file}", "ari_gateway:migrations")
    transactions = WholeTransactions(engine)
    try:
        yield transactions
    finally:
        await transactions.close()
        await engine.dispose()


@contextlib.asynccontextmanager
async def _storage(file: Path) -> AsyncIterator[Storage]:
    engine = await open_database(f"sqlite:///{file}", "ari_gateway:migrations")
    storage = Storage(engine)
    try:
        async with storage.transaction() as connection:
            await connection.execute(_TABLE)
        yield storage
    finally:
        await engine.dispose()


async def _insert(storage: Storage) -> None:
    async with storage.transaction() as connection:
        await connection.execute(_INSERT)


async def _count(storage: Storage) -> int:
    async with storage.transaction() as connection:
        return int((await connection.execute(_COUNT)).scalar_one())
