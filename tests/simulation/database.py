"""A database for a simulated campaign, and how a process dies while it uses one.

Unlike the service's own, commits stay in the event loop's thread, too: the order of things hangs on
the seed alone.
"""

from __future__ import annotations

import asyncio
import enum
import sqlite3
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from dialer.engine import MIGRATIONS
from servicekit import sqlite
from servicekit.database import open_database


class ProcessDied(Exception):  # noqa: N818 - named as what happened
    """The replica that was at work is no more; whoever catches this is not simulated."""


class Fault(enum.StrEnum):
    """What happens to the process at work, or to its database."""

    DIES = "dies"
    DATABASE_AWAY = "database away"
    COMMIT_UNCONFIRMED = "commit not confirmed"


class Faults:
    """Strikes once when armed: a number of steps from then.

    A step is a statement, a commit about to be made, or a commit that was made.
    """

    def __init__(self) -> None:
        self._armed: Fault | None = None
        self._steps_left = 0
        self.struck: Counter[Fault] = Counter()

    def arm(self, fault: Fault, steps: int) -> None:
        """Strike after so many steps, whoever takes them."""
        self._armed, self._steps_left = fault, steps

    def disarm(self) -> None:
        """Strike no more."""
        self._armed = None

    def step(self, *, committed: bool = False) -> None:
        """Take one step.

        Raises:
            ProcessDied: it was one too many for the process.
            OperationalError: it was one too many for the database.
        """
        if self._armed is None:
            return
        self._steps_left -= 1
        wanted = committed if self._armed is Fault.COMMIT_UNCONFIRMED else True
        if self._armed is Fault.DATABASE_AWAY and committed:
            wanted = False
        if self._steps_left >= 0 or not wanted:
            return
        fault, self._armed = self._armed, None
        self.struck[fault] += 1
        if fault is Fault.DIES:
            raise ProcessDied
        raise sqlite3.OperationalError(fault.value)


class _Cursor(sqlite.Cursor):
    def execute(self, *args: Any) -> Self:
        self.connection.faults.step()  # type: ignore[attr-defined]
        return super().execute(*args)

    def executemany(self, *args: Any) -> Self:
        return sqlite3.Cursor.executemany(self, *args)


class _Connection(sqlite.LoopConnection):
    faults: Faults

    def cursor(self, *_args: Any) -> Any:
        return sqlite3.Connection.cursor(self, _Cursor)

    def commit(self) -> None:
        self.faults.step()
        sqlite3.Connection.commit(self)
        self.faults.step(committed=True)


@cache
def empty_database() -> bytes:
    """Give a migrated SQLite database to open copies of; made once per process, outside a loop."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "dialer.db"
        asyncio.run(_migrate(path))
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=DELETE")  # memory knows no other
        connection.close()
        return path.read_bytes()


async def _migrate(path: Path) -> None:
    engine = await open_database(f"sqlite:///{path}", MIGRATIONS)
    await engine.dispose()


def open_copy(content: bytes, faults: Faults) -> AsyncEngine:
    """Open a copy of a database, in memory; faults strike whoever uses it."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", factory=_Connection, cached_statements=512)
        connection.deserialize(content)
        connection.isolation_level = None  # transactions are begun above
        connection.faults = faults
        return connection

    engine = create_async_engine(f"{sqlite.DRIVER}://", creator=connect, poolclass=StaticPool)
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
