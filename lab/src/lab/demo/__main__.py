"""`make demo`: install the lab, run the services, dial the cast, judge the results."""

from __future__ import annotations

import asyncio
import functools
import sys

from lab import control, processes
from lab.control import Wanted
from lab.demo.campaign import (
    Campaign,
    Progress,
    Services,
    campaign,
    prepare,
    running_services,
    sync_prompts,
)
from lab.demo.cast import CAST, SETTINGS
from lab.demo.following import follow
from lab.demo.view import View
from lab.errors import LabError
from lab.paths import REPOSITORY, LabPaths

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
        rows = await follow(CAST, view, functools.partial(_progress, services, running))
    view.conclude(rows)
    return 0 if all(not row.wrong_because for row in rows) else _WRONG


async def _progress(services: Services, running: Campaign) -> Progress | None:
    services.must_run()
    return await running.progress()


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
