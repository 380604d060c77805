"""The hours of the day in which people may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

_FORM = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})", re.ASCII)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class CallWindow:
    """From `opens_minute` (included) to `closes_minute` (not included) of each local day."""

    opens_minute: int
    closes_minute: int
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> Self:
        """Read `09:00-21:00`; `00:00-24:00` means always.

        Raises:
            ValueError: any other form, or a window that is empty or runs over midnight.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError("not of the form HH:MM-HH:MM")
        hours = [int(match[1]), int(match[3])]
        minutes = [int(match[2]), int(match[4])]
        opens, closes = (60 * hour + minute for hour, minute in zip(hours, minutes, strict=True))
        if max(minutes) > 59 or not 0 <= opens < closes <= _DAY_MINUTES:
            raise ValueError("it must open before it closes, within one day")
        return cls(opens, closes, zone)

    def is_open(self, moment: datetime) -> bool:
        """Whether calls may start at a moment (aware)."""
        local = moment.astimezone(self.zone)
        return self.opens_minute <= 60 * local.hour + local.minute < self.closes_minute

    def opens_next(self, moment: datetime) -> datetime:
        """Give the first moment from `moment` on at which the window is open."""
        if self.is_open(moment):
            return moment
        local = moment.astimezone(self.zone)
        day = local.date()
        if 60 * local.hour + local.minute >= self.closes_minute:
            day += timedelta(days=1)
        return self._at(day, self.opens_minute)

    def closes_next(self, moment: datetime) -> datetime | None:
        """Give when the window that is open at a moment closes; None when it never does."""
        if self.opens_minute == 0 and self.closes_minute == _DAY_MINUTES:
            return None
        if self.closes_minute == _DAY_MINUTES:
            return self.next_midnight(moment)
        return self._at(self.local_date(moment), self.closes_minute)

    def local_date(self, moment: datetime) -> date:
        """Give the local calendar day of a moment; daily limits count by it."""
        return moment.astimezone(self.zone).date()

    def next_midnight(self, moment: datetime) -> datetime:
        """Give the start of the local day after a moment's."""
        return self._at(self.local_date(moment) + timedelta(days=1), 0)

    def _at(self, day: date, minute: int) -> datetime:
        return datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=self.zone)
