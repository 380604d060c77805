"""What the command line shows: plain tables, times as people here read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from salehi.calls.v1.calls_pb2 import Result
from salehi.dialer.v1 import dialer_pb2
from servicekit.cli import shown_moment, shown_number, table

_SHOWN_REJECTS = 20


def status_text(status: dialer_pb2.GetStatusResponse, zone: tzinfo) -> str:
    """Show how the campaign stands."""
    if status.pauses:
        parts = ["paused\n\n", pauses_table(status.pauses, zone)]
    elif status.waiting_for:
        parts = [f"not dialing: {status.waiting_for}\n"]
    else:
        parts = ["dialing\n"]
    lines = [
        (
            line.line,
            f"{line.active}/{line.max_concurrent}",
            f"{line.last_minute}/{line.max_per_minute}",
            f"{line.today}/{line.max_per_day}",
        )
        for line in status.lines
    ]
    figures = [
        ("contacts waiting", f"{status.contacts_waiting:,}"),
        ("attempts open", f"{status.attempts_open:,}"),
        ("attempts done", f"{status.attempts_done:,}"),
    ]
    if status.HasField("operators"):
        figures.append(("operators", _operators(status.operators)))
    parts += ["\n", table(("LINE", "NOW", "LAST MINUTE", "TODAY"), lines), "\n"]
    parts += [f"{name:<16}  {figure}\n" for name, figure in figures]
    return "".join(parts)


def pauses_table(pauses: Iterable[dialer_pb2.PauseReason], zone: tzinfo) -> str:
    """Show pauses, and what they still let through."""
    rows = [
        (
            dialer_pb2.PauseKind.Name(pause.kind).removeprefix("PAUSE_KIND_").lower(),
            shown_moment(pause.since, zone),
            pause.by,
            pause.reason + _trials(pause.trial_calls),
        )
        for pause in pauses
    ]
    return table(("PAUSE", "SINCE", "BY", "REASON"), rows)


def attempts_table(
    attempts: Iterable[dialer_pb2.Attempt], zone: tzinfo, *, show_numbers: bool
) -> str:
    """Show attempts; numbers are masked unless asked for."""
    rows = [
        (
            shown_moment(attempt.claimed_at, zone),
            attempt.line,
            shown_number(attempt.contact.number, show=show_numbers),
            attempt.contact.source,
            _came_to(attempt),
            _lasted(attempt),
            attempt.attempt_id,
        )
        for attempt in attempts
    ]
    header = ("CLAIMED", "LINE", "NUMBER", "SOURCE", "RESULT", "SECONDS", "ATTEMPT")
    return table(header, rows)


def rejected_text(rows: Sequence[dialer_pb2.RejectedRow], count: int) -> str:
    """Show the first rows that were not taken, and where the others are."""
    if not count:
        return ""
    shown = table(("ROW", "REASON"), [(str(bad.row), bad.reason) for bad in rows[:_SHOWN_REJECTS]])
    more = count - min(count, _SHOWN_REJECTS)
    rest = f"and {more:,} more: all are listed in imports/ in the dialer's DATA_DIR\n"
    return f"\n{shown}{rest if more else ''}"


def _operators(load: dialer_pb2.OperatorLoad) -> str:
    return (
        f"{load.busy} of {load.slots} busy, {load.undecided} calls undecided, "
        f"{load.share_of_yes:.0%} come to one"
    )


def _trials(count: int) -> str:
    return f" ({count} trial calls allowed)" if count else ""


def _came_to(attempt: dialer_pb2.Attempt) -> str:
    if not attempt.HasField("ended_at"):
        return "open"
    result = Result.Name(attempt.result).removeprefix("RESULT_").lower()
    return f"{result}:{attempt.reason}" if attempt.reason else result


def _lasted(attempt: dialer_pb2.Attempt) -> str:
    if not attempt.HasField("ended_at"):
        return ""
    lasted_ms = attempt.ended_at.ToMilliseconds() - attempt.claimed_at.ToMilliseconds()
    return f"{lasted_ms / 1000:.1f}"
