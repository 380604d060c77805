"""Ids that come out the same however often they are made."""

from __future__ import annotations

import uuid

_PANEL = uuid.UUID("5f6c1c2e-7d0b-4d6e-9a53-2b8f4f0c7a11")


def panel_attempt_id(batch_id: str, number_id: int) -> str:
    """Name the report of a panel's number that was never dialled.

    The same hand-out gives the same id, so that it is reported once, whatever crashes between.
    """
    return str(uuid.uuid5(_PANEL, f"{batch_id}:{number_id}"))
