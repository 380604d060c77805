"""Opening a service's database: SQLite or PostgreSQL, migrated to the newest schema."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from servicekit import sqlite
from servicekit.errors import StartupError

_BUSY_TIMEOUT_MS = 5000
_CONNECT_S = 10
_COMMAND_S = 30
_DRIVERS = {"sqlite": sqlite.DRIVER, "postgresql": "postgresql+asyncpg"}


async def open_database(url: str, migrations: str, *, setting: str = "DATABASE_URL") -> AsyncEngine:
    """Open a database and bring its schema up to date.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.
        migrations: alembic's script location, for example `dialer:migrations`.
        setting: name of the setting the URL came from, for messages.

    Raises:
        StartupError: the URL is not of these forms, or the database cannot be opened or migrated.
    """
    parsed = _parse(url, setting)
    engine = _create_engine(parsed)
    # A migration may take its time; everything after it may not.
    migrator = create_async_engine(parsed, hide_parameters=True) if _is_remote(parsed) else engine
    try:
        async with migrator.begin() as connection:
            await connection.run_sync(_migrate, migrations)
        if migrator is not engine:
            await migrator.dispose()
    except CommandError as error:
        await migrator.dispose()
        raise StartupError(
            f"{setting}={parsed.render_as_string(hide_password=True)} was made by a newer version "
            f"of this service ({error}): install that version, or restore a backup of before it"
        ) from error
    except (SQLAlchemyError, OSError) as error:
        await migrator.dispose()
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise StartupError(
            f"{setting}={parsed.render_as_string(hide_password=True)} cannot be opened ({reason}): "
            "check that the path or server exists and this user may write to it"
        ) from error
    return engine


def run_migrations(metadata: MetaData, version_table: str) -> None:
    """Run the migrations; called by the `env.py` of a service's migrations."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, version_table=version_table)
    context.run_migrations()


def _parse(url: str, setting: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StartupError(
            f"{setting} is not a database address: sqlite:///path or postgresql://user:password@host/name"
        ) from error
    backend = parsed.get_backend_name()
    if backend not in _DRIVERS:
        raise StartupError(f"{setting} names {backend}: only sqlite and postgresql are supported")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(
                f"{setting}: the directory of {parsed.database} cannot be made ({error.strerror})"
            ) from error
    return parsed.set(drivername=_DRIVERS[backend])


def _create_engine(url: URL) -> AsyncEngine:
    """Open the engine; statements never show their values, which are personal data."""
    if _is_remote(url):
        # A host that has vanished answers nothing, for a quarter of an hour.
        patience = {"timeout": _CONNECT_S, "command_timeout": _COMMAND_S}
        return create_async_engine(
            url, hide_parameters=True, pool_pre_ping=True, connect_args=patience
        )
    engine = create_async_engine(url, hide_parameters=True, pool_size=4, max_overflow=0)
    event.listen(engine.sync_engine, "connect", _prepare_in_loop)
    return engine


def sqlite_engine(url: URL) -> Engine:
    """Open an engine without an event loop on a SQLite file, prepared like the service's own."""
    engine = create_engine(url.set(drivername="sqlite"), hide_parameters=True)
    _prepare(engine)
    return engine


def _prepare(engine: Engine) -> None:
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)


def _is_remote(url: URL) -> bool:
    return url.get_backend_name() != "sqlite"


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_in_loop(connection: Any, record: object) -> None:
    _prepare_sqlite(connection, record)
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=0")  # the driver waits in the event loop
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a read that later writes would fail instead of waiting."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: Connection, migrations: str) -> None:
    if connection.dialect.name == "postgresql":
        lock = zlib.crc32(migrations.encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
    config = Config()
    config.set_main_option("script_location", migrations)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
