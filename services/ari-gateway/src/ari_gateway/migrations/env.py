"""Alembic's entry point."""

from __future__ import annotations

from ari_gateway.sessions.sql_ledger import metadata
from servicekit.database import run_migrations

run_migrations(metadata, "gateway_alembic_version")
