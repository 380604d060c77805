"""The list of rows that were not taken: counted, the first ones kept, all of them in a file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from dialer.csv_rows import BadRow
from servicekit.clock import Clock

_SHOWN = 1000


class Rejects:
    """Lists bad rows in a CSV file (`row,reason`) that is made with the first of them.

    Attributes:
        shown: the first 1,000.
        count: all.
    """

    def __init__(self, path: Path) -> None:
        self.shown: list[BadRow] = []
        self.count = 0
        self._path = path

    @property
    def path(self) -> Path | None:
        """Where they are listed; None when there are none."""
        return self._path if self.count else None

    def add(self, rows: Sequence[BadRow]) -> None:
        """Add rows in their order; blocks while writing."""
        if not rows:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a" if self.count else "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if not self.count:
                writer.writerow(["row", "reason"])
            writer.writerows((row.row, row.reason) for row in rows)
        self.shown.extend(rows[: max(0, _SHOWN - len(self.shown))])
        self.count += len(rows)


def rejects_in(directory: Path, name: str, clock: Clock) -> Rejects:
    """Make the list of a file that is taken now; its own name tells which file and when."""
    stamp = clock.now().strftime("%Y%m%dT%H%M%S.%f")
    return Rejects(directory / f"{name}-{stamp}-rejected.csv")
