"""The one failure the lab's user sees."""

from __future__ import annotations


class LabError(Exception):
    """Something only the user can put right; the message is one line that says what to do."""
