"""Run by alembic when the database is opened."""

from __future__ import annotations

from servicekit.database import run_migrations

from reporter.tables import metadata

run_migrations(metadata, "reporter_schema_version")
