"""Run by alembic when the database is opened."""

from __future__ import annotations

from dialer.tables import metadata
from servicekit.database import run_migrations

run_migrations(metadata, "dialer_schema_version")
