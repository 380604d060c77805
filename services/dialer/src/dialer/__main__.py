"""The dialer's wiring."""

from __future__ import annotations

import asyncio
import sys
from typing import NoReturn

from dialer.command import run_command
from dialer.engine import open_engine
from dialer.settings import DialerSettings
from servicekit.service import Runtime, run_service


async def serve(settings: DialerSettings, runtime: Runtime[DialerSettings]) -> None:
    """Serve and dial until the service is told to stop."""
    async with open_engine(settings) as engine, asyncio.TaskGroup() as group:
        group.create_task(
            runtime.serve_grpc([engine.service()], port=settings.dialer_port, setting="DIALER_PORT")
        )
        group.create_task(engine.run(runtime.stopping))


def main() -> NoReturn:
    """Run the dialer, or the command that follows its name; ends the process."""
    if len(sys.argv) > 1:
        sys.exit(run_command(sys.argv[1:]))
    run_service("dialer", DialerSettings, serve, metrics_port_field="dialer_metrics_port")


if __name__ == "__main__":
    main()
