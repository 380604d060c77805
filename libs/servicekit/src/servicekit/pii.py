"""Masks personal data before it reaches a log."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

# Ten or more digits in a row, with or without "+": a phone number, or may be one. Runs inside a
# longer word (a UUID, a hash) are left alone, and so are decimals and times.
_PHONE = re.compile(r"(?<![\w.\-])\+?\d{10,18}(?![\w\-]|\.\d)")
_SHOWN_HEAD = 4
_SHOWN_TAIL = 4


def mask_number(number: str) -> str:
    """Mask the middle of a phone number: `09121234567` becomes `0912***4567`."""
    if len(number) <= _SHOWN_HEAD + _SHOWN_TAIL:
        return "***"
    return f"{number[:_SHOWN_HEAD]}***{number[-_SHOWN_TAIL:]}"


def mask_text(text: str) -> str:
    """Mask everything in a text that looks like a phone number."""
    return _PHONE.sub(lambda found: mask_number(found.group()), text)


def mask_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Mask a log event (a structlog processor): `*_pii` fields, and numbers in all other text."""
    for key, value in event.items():
        if key.endswith("_pii"):
            event[key] = _mask_field(value)
        elif isinstance(value, str):
            event[key] = mask_text(value)
    return event


def _mask_field(value: Any) -> str:
    text = str(value)
    digits = text.removeprefix("+")
    if digits.isascii() and digits.isdigit():
        return mask_number(text)
    return f"*** ({len(text)} characters)"
