"""Structured logs: readable or JSON on stdout, JSON in a rotating file; personal data masked."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import structlog
from concurrent_log_handler import ConcurrentRotatingFileHandler
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from servicekit.errors import StartupError
from servicekit.pii import mask_event, mask_text
from servicekit.settings import ServiceSettings

FILE_ONLY = "servicekit.file_only"
"""Name of the logger whose lines go to app.log but not to stdout."""

_MAX_FILE_BYTES = 10_000_000
_KEPT_FILES = 5
_EXCEPTION_TEXTS = {"exception", "error"}
# These write addresses of requests (which hold keys), values of statements or a line per event.
_QUIET_LIBRARIES = (
    "httpx",
    "httpx2",
    "httpcore",
    "openai",
    "websockets",
    "alembic",
    "uvicorn",
)


def configure_logging(service: str, settings: ServiceSettings) -> None:
    """Send structlog and standard logging to stdout and to `app.log` in the log directory.

    The file is shared by all services of one machine (the handler locks it to rotate).

    Raises:
        StartupError: the log directory cannot be written.
    """

    def name_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        *([] if settings.log_pii else [mask_event]),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=False),
        name_service,
        _add_trace_position,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    stdout = logging.StreamHandler(sys.stdout)
    stdout.setFormatter(_formatter(settings, shared, json=settings.log_format == "json"))
    stdout.addFilter(lambda record: record.name != FILE_ONLY)
    file = _file_handler(settings.log_dir)
    file.setFormatter(_formatter(settings, shared, json=True))
    logging.basicConfig(level=settings.log_level, handlers=[stdout, file], force=True)
    for library in _QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _formatter(
    settings: ServiceSettings, shared: list[Processor], *, json: bool
) -> structlog.stdlib.ProcessorFormatter:
    """Render the full story as JSON, or one short line per event as text."""
    # All else is masked already, once for both outputs; this text is made only here.
    masked: list[Processor] = [] if settings.log_pii else [_mask_exception]
    if json:
        last: list[Processor] = [
            structlog.processors.format_exc_info,
            *masked,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    else:
        last = [_short_exception, *masked, _short_line]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _file_handler(directory: Path) -> logging.Handler:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return ConcurrentRotatingFileHandler(
            directory / "app.log",
            maxBytes=_MAX_FILE_BYTES,
            backupCount=_KEPT_FILES,
            encoding="utf-8",
        )
    except OSError as error:
        raise StartupError(
            f"LOG_DIR={directory} cannot be written ({error.strerror}): "
            "name a directory this user can write"
        ) from error


def _add_trace_position(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _mask_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in _EXCEPTION_TEXTS & event.keys():
        event[key] = mask_text(str(event[key]))
    return event


def _short_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Reduce an exception to its type and first line: tracebacks go to the file only."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        first = str(error).partition("\n")[0]
        event["error"] = f"{type(error).__name__}: {first}"
    return event


def _short_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`12:00:01 dialer        info  what happened  key=value`."""
    time = str(event.pop("timestamp"))[11:19]
    service, level = event.pop("service"), event.pop("level")
    for key in ("trace_id", "span_id"):
        event.pop(key, None)
    text = str(event.pop("event"))
    rest = " ".join(f"{key}={value}" for key, value in event.items())
    return f"{time} {service:<11} {level:<7} {text}" + (f"  {rest}" if rest else "")
