"""`make demo`: install the lab, run the services, dial the cast, judge the results."""

from __future__ import annotations

import asyncio
import sys
import time

from lab import control, processes
from lab.control import Wanted
from lab.demo.campaign import Campaign, Services, campaign, prepare, running_services, sync_prompts
from lab.demo.cast import CAST, SETTINGS
from lab.demo.verdict import Row, judge
from lab.demo.view import View
from lab.errors import LabError
from lab.paths import REPOSITORY, LabPaths

_LONGEST_S = 300.0
_LOOK_EVERY_S = 0.5
# A second result for a contact would come soon after the first.
_LOOK_FOR_DOUBLES_S = 3.0
_WRONG, _REFUSED = 1, 3


async def _demo(view: View) -> int:
    paths = LabPaths(REPOSITORY / ".lab")
    ran_before = bool(processes.running_parts())
    try:
        return await _campaign(view, paths)
    finally:
        if not ran_before:
            control.down(paths, lambda _: None)


async def _campaign(view: View, paths: LabPaths) -> int:
    # Twice: the simulated people wait as long as the prompts are, which need Asterisk's directory.
    control.up(paths, Wanted(network="sipp"), view.say)
    env_file = prepare(paths, SETTINGS)
    await sync_prompts(env_file)
    control.up(paths, Wanted(network="sipp"), lambda _: None)
    view.say(f"dialing {len(CAST)} contacts over 2 lines; the services' log is logs/app.log")
    async with running_services(env_file) as services, campaign() as running:
        rows = await _follow(view, services, running)
    view.conclude(rows)
    return 0 if all(not row.wrong_because for row in rows) else _WRONG


async def _follow(view: View, services: Services, running: Campaign) -> list[Row]:
    deadline_s = time.monotonic() + _LONGEST_S
    complete_since_s: float | None = None
    rows = judge(CAST, ())
    with view:
        while time.monotonic() < deadline_s:
            services.must_run()
            progress = await running.progress()
            if progress is not None:
                view.show(progress)
                rows = judge(CAST, progress.results)
                if all(row.results for row in rows) and not progress.calls:
                    complete_since_s = complete_since_s or time.monotonic()
                    if time.monotonic() - complete_since_s > _LOOK_FOR_DOUBLES_S:
                        break
            await asyncio.sleep(_LOOK_EVERY_S)
    return rows


def main() -> None:
    """Run the demo; the status is 0 only when every contact got its right result."""
    view = View(total=len(CAST))
    try:
        sys.exit(asyncio.run(_demo(view)))
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(_REFUSED)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
