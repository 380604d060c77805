"""A service's life: settings, logs, metrics, traces, signals, and one clear line when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NoReturn, TypeVar

import structlog
import uvloop

from servicekit.errors import EXIT_CANNOT_START, StartupError
from servicekit.logging import FILE_ONLY, configure_logging
from servicekit.metrics import serve_metrics
from servicekit.server import GrpcServer, GrpcService
from servicekit.settings import ServiceSettings, load_settings
from servicekit.tracing import configure_tracing

log = structlog.get_logger(__name__)
file_log = structlog.get_logger(FILE_ONLY)  # what the user already reads on stderr

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)

# By how many objects a process grows before cycles among the young ones are looked for. Python's
# own 700 took 5 % of our CPU.
_GARBAGE_OBJECTS = 10_000


class Runtime(Generic[SettingsT]):
    """What a running service gets from the kit.

    Attributes:
        stopping: set once SIGTERM or SIGINT arrived; the service then finishes and returns.
    """

    def __init__(self, name: str, settings: SettingsT) -> None:
        self._name = name
        self._settings = settings
        self.stopping = asyncio.Event()

    async def serve_grpc(
        self,
        services: Sequence[GrpcService],
        *,
        port: int,
        setting: str,
        drain_s: float = 2.0,
        until: asyncio.Event | None = None,
    ) -> None:
        """Serve until the service is told to stop (or `until`), then drain for `drain_s` seconds.

        Raises:
            StartupError: a port is taken, or a certificate cannot be used; names the setting.
        """
        server = GrpcServer(services, self._settings.tls)
        bound = await server.start(self._settings.bind_host, port, setting)
        if self._settings.health_port is not None:
            await server.start_health(
                self._settings.bind_host, self._settings.health_port, "HEALTH_PORT"
            )
        _spare_the_collector()
        log.info("serving", address=f"{self._settings.bind_host}:{bound}")
        try:
            await (until or self.stopping).wait()
        finally:
            await server.drain(drain_s)


def run_service(
    name: str,
    settings_class: type[SettingsT],
    main: Callable[[SettingsT, Runtime[SettingsT]], Awaitable[None]],
    *,
    metrics_port_field: str,
) -> NoReturn:
    """Run a service until it is stopped, and end the process.

    The status is 0 after SIGTERM or SIGINT, 3 when the service cannot start (with one line per
    problem on stderr), 1 after an unexpected failure (one line on stderr, the story in app.log).

    Args:
        name: the service's folder name, as shown in logs.
        settings_class: its settings.
        main: its wiring; returns soon after `runtime.stopping` is set.
        metrics_port_field: the field of the settings that holds the metrics port.
    """
    try:
        settings = load_settings(settings_class)
        configure_logging(name, settings)
        metrics_port = int(getattr(settings, metrics_port_field))
        serve_metrics(settings.bind_host, metrics_port, metrics_port_field.upper())
    except StartupError as error:
        _say(name, error)
        sys.exit(EXIT_CANNOT_START)
    tracing = configure_tracing(name, settings.otel_exporter_otlp_endpoint)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(name, settings, main))
        status = 0
    except BaseException as error:  # noqa: BLE001 - supervisor: the last one, it ends the process
        status = _explain_end(name, error)
    if tracing is not None:
        tracing.shutdown()
    sys.exit(status)


async def _until_stopped(
    name: str,
    settings: SettingsT,
    main: Callable[[SettingsT, Runtime[SettingsT]], Awaitable[None]],
) -> None:
    runtime = Runtime(name, settings)
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, runtime.stopping.set)
    await main(settings, runtime)
    log.info("stopped")


def _spare_the_collector() -> None:
    """Take what start-up made, which stays, out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS)


def _explain_end(name: str, error: BaseException) -> int:
    """Say why the service ended, in lines a user can act on; give the exit status."""
    causes = list(_leaves(error))
    startup = [cause for cause in causes if isinstance(cause, StartupError)]
    if startup:
        for problem in startup:
            file_log.error("cannot go on", reason=str(problem))
            _say(name, problem)
        return EXIT_CANNOT_START
    unexpected = [cause for cause in causes if not isinstance(cause, asyncio.CancelledError)]
    for cause in unexpected:
        file_log.critical("ended by an unexpected error", exc_info=cause)
        _say(name, f"ended by an unexpected {type(cause).__name__}; the story is in app.log")
    return 1


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _say(name: str, problem: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        for line in str(problem).splitlines():
            print(f"{name}: {line}", file=sys.stderr)  # noqa: T201 - the user's line
