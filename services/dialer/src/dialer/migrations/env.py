"""Run by alembic when the database is opened."""

from __future__ import annotations

from servicekit.database import run_migrations

from dialer.tables import metadata

run_migrations(metadata, "dialer_schema_version")
