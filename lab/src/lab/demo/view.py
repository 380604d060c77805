"""What the demo shows while it runs, and at its end. Numbers are masked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.demo.campaign import Progress
from lab.demo.verdict import Row
from salehi.calls.v1 import calls_pb2
from servicekit.pii import mask_number

_STATES = {
    calls_pb2.CALL_STATE_DIALING: "dialing",
    calls_pb2.CALL_STATE_RINGING: "ringing",
    calls_pb2.CALL_STATE_ANSWERED: "in conversation",
    calls_pb2.CALL_STATE_CALLING_OPERATOR: "operator rings",
    calls_pb2.CALL_STATE_CONNECTED: "talks to operator",
    calls_pb2.CALL_STATE_ENDED: "ended",
}
_WIDTH_WITHOUT_TERMINAL = 140


class View:
    """Live tables on a terminal, a line per change elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._last_line = ""
        self._began_s = time.monotonic()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        """Say one thing."""
        self.console.print(text, markup=False, soft_wrap=True)

    def show(self, progress: Progress) -> None:
        """Show how the campaign stands."""
        if self.console.is_terminal:
            self._live.update(self._tables(progress), refresh=True)
            return
        line = self._line(progress)
        if line != self._last_line:
            self._last_line = line
            self.say(f"{time.monotonic() - self._began_s:5.0f} s  {line}")

    def _line(self, progress: Progress) -> str:
        lines = "  ".join(
            f"line …{line.line[-4:]}: {line.active}/{line.max_concurrent} calls,"
            f" {line.last_minute}/{line.max_per_minute} a minute"
            for line in progress.status.lines
        )
        waiting = progress.status.waiting_for
        return (
            f"{len(progress.results):2}/{self._total} results   {len(progress.calls)} in progress"
            f"   {lines}" + (f"   ({waiting})" if waiting and not progress.calls else "")
        )

    def _tables(self, progress: Progress) -> Group:
        calls = Table(
            "contact", "over line", "state", title="Calls in progress", title_style="bold"
        )
        for call in progress.calls:
            calls.add_row(
                mask_number(call.contact.national_number),
                f"…{call.line[-4:]}",
                _STATES.get(call.state, ""),
            )
        lines = Table("line", "now", "last minute", "today", title="Lines", title_style="bold")
        for line in progress.status.lines:
            lines.add_row(
                f"…{line.line[-4:]}",
                f"{line.active}/{line.max_concurrent}",
                f"{line.last_minute}/{line.max_per_minute}",
                f"{line.today}/{line.max_per_day}",
            )
        counted = Counter(record.result for record in progress.results)
        results = Text(f"Results {len(progress.results)}/{self._total}: ", style="bold")
        results.append(", ".join(f"{count} {name}" for name, count in counted.items()), "default")
        return Group(lines, calls, results)

    def conclude(self, rows: Sequence[Row]) -> None:
        """Show the final table."""
        table = Table(title="What came of it")
        for heading in ("contact", "who", "heard", "intent", "result", ""):
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(
                mask_number(row.contact.number),
                row.contact.behaviour,
                " / ".join(heard or "–" for heard in row.heard),
                " / ".join(row.intents),
                ", ".join(row.results),
                Text("right", "green") if not row.wrong_because else Text(row.wrong_because, "red"),
            )
        self.console.print(table)
        right = sum(not row.wrong_because for row in rows)
        self.say(f"{right} of {len(rows)} contacts got the result their behaviour calls for.")
