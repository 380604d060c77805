"""Run by alembic when the database is opened."""

from __future__ import annotations

from reporter.tables import metadata
from servicekit.database import run_migrations

run_migrations(metadata, "reporter_schema_version")
