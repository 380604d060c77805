"""Watching a campaign until every contact has its result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from lab.demo.campaign import Progress
from lab.demo.cast import Contact
from lab.demo.verdict import Row, judge
from lab.demo.view import View

_LONGEST_S = 300.0
_LOOK_EVERY_S = 0.5
# A second result for a contact would come soon after the first.
_LOOK_FOR_DOUBLES_S = 3.0


async def follow(
    cast: Sequence[Contact], view: View, progress: Callable[[], Awaitable[Progress | None]]
) -> list[Row]:
    """Show the progress until every contact has a result, at most five minutes; give the rows."""
    deadline_s = time.monotonic() + _LONGEST_S
    complete_since_s: float | None = None
    rows = judge(cast, ())
    with view:
        while time.monotonic() < deadline_s:
            now = await progress()
            if now is not None:
                view.show(now)
                rows = judge(cast, now.results)
                if all(row.results for row in rows) and not now.calls:
                    complete_since_s = complete_since_s or time.monotonic()
                    if time.monotonic() - complete_since_s > _LOOK_FOR_DOUBLES_S:
                        break
            await asyncio.sleep(_LOOK_EVERY_S)
    return rows
