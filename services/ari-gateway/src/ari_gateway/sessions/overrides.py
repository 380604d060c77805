"""Overrides of the table of dispositions, as they are written in the settings.

One entry is TRUNK/CONDITIONS=DISPOSITION: `trunk1/cause:38=busy`, `*/sip:480=unreachable`,
`trunk1/cause:21+sip:403=congestion` (both must hold). `*` stands for every trunk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ari_gateway.sessions.disposition import Disposition, DispositionTable, Row

_ENTRY = re.compile(r"(\*|[A-Za-z0-9_.\-]{1,64})/([^=]+)=([a-z_]+)", re.ASCII)
_CONDITION = re.compile(r"(cause|sip|dial):([A-Za-z0-9]{1,16})", re.ASCII)
_CAUSES = range(1, 128)
_SIP_STATUSES = range(300, 700)
_DIAL_STATUSES = ("BUSY", "CONGESTION", "NOANSWER", "CHANUNAVAIL")
_TARGETS = {
    "busy": Disposition.BUSY,
    "no_answer": Disposition.NO_ANSWER,
    "unreachable": Disposition.UNREACHABLE,
    "invalid_number": Disposition.INVALID_NUMBER,
    "invalid": Disposition.INVALID_NUMBER,
    "rejected": Disposition.REJECTED,
    "congestion": Disposition.CONGESTION,
}


def table_with(entries: Sequence[str]) -> DispositionTable:
    """Make the table with these entries before the default rows.

    Raises:
        ValueError: an entry is malformed or contradicts another; the message names it.
    """
    overrides: dict[str, list[Row]] = {}
    for entry in entries:
        trunk, row = _parse(entry)
        rows = overrides.setdefault(trunk, [])
        if any(known.conditions == row.conditions for known in rows):
            raise ValueError(f"{entry}: the same is said twice for {trunk}")
        rows.append(row)
    return DispositionTable(dict(overrides))


def _parse(entry: str) -> tuple[str, Row]:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ValueError(f"{entry}: not of the form TRUNK/CONDITION=DISPOSITION")
    trunk, conditions, target = match.groups()
    if target not in _TARGETS:
        raise ValueError(f"{entry}: {target} is none of {', '.join(_TARGETS)}")
    said: dict[str, str] = {}
    for condition in conditions.split("+"):
        kind, value = _condition(entry, condition)
        if kind in said:
            raise ValueError(f"{entry}: two values for {kind}")
        said[kind] = value
    return trunk, Row(
        _TARGETS[target],
        cause=_number(entry, said, "cause", _CAUSES),
        sip_status=_number(entry, said, "sip", _SIP_STATUSES),
        dial_status=_dial_status(entry, said),
    )


def _condition(entry: str, condition: str) -> tuple[str, str]:
    match = _CONDITION.fullmatch(condition)
    if match is None:
        raise ValueError(f"{entry}: {condition} is none of cause:N, sip:N, dial:STATUS")
    return match[1], match[2]


def _number(entry: str, said: dict[str, str], kind: str, allowed: range) -> int | None:
    value = said.get(kind)
    if value is None:
        return None
    if not value.isdigit() or int(value) not in allowed:
        raise ValueError(f"{entry}: {kind} must be {allowed.start} to {allowed.stop - 1}")
    return int(value)


def _dial_status(entry: str, said: dict[str, str]) -> str | None:
    value = said.get("dial")
    if value is None:
        return None
    if value.upper() not in _DIAL_STATUSES:
        raise ValueError(f"{entry}: dial must be one of {', '.join(_DIAL_STATUSES)}")
    return value.upper()
