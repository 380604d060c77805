"""Errors that every service shares."""

from __future__ import annotations

EXIT_CANNOT_START = 3


class StartupError(Exception):
    """The service cannot start or go on; the message is shown to the user as it is.

    One line per problem: it names the setting, port or file and says what to do. The process ends
    with status 3.
    """
