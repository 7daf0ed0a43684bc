"""Structured logs on standard error: JSON lines, or readable text when that is a terminal."""

from __future__ import annotations

import json
import logging as standard_logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import format_exception
from typing import Any, TextIO, cast

if "rich" not in sys.modules:
    # structlog loads rich where it is installed, to colour tracebacks: five mebibytes of every service for nothing.
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python spells "do not import this"
    import structlog

    del sys.modules["rich"]
else:
    import structlog
from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor, WrappedLogger

from elevon_kit.settings import LogSettings

ENCODER = json.JSONEncoder(default=str)
LONGEST_EXCEPTION = 16_384
"""Characters of an exception in a line; a database's may tell the whole statement, with all that a caller sent."""
LONGEST_EXCEPTION_LINE = 1_024
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
NOISY_LIBRARIES = ("aiosqlite", "alembic", "asyncio", "botocore", "grpc", "httpx", "sqlalchemy", "urllib3", "uvicorn")


def configure_logging(settings: LogSettings, service: str) -> None:
    """Set the process's logs up once; lines of libraries join in from level warning on."""
    as_text = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    level = LEVELS[settings.level]
    shared = _shared_processors(service)
    renderer = _renderers(as_text)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_standard_logging(level, shared, renderer)


def get_logger(name: str) -> FilteringBoundLogger:
    """Answer a logger whose lines carry `component=name`; usable before and after `configure_logging`."""
    return cast(FilteringBoundLogger, structlog.get_logger(component=name))


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Bind values to every line logged inside, in this task and those it starts."""
    tokens: Mapping[str, Any] = structlog.contextvars.bind_contextvars(**values)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def bind(**values: Any) -> None:
    """Bind values to every line logged from here on in this task, for example the execution an RPC is about."""
    structlog.contextvars.bind_contextvars(**values)


def _shared_processors(service: str) -> list[Processor]:
    def add_service(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(as_text: bool) -> list[Processor]:
    if as_text:
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_exception)]
    return [structlog.processors.ExceptionRenderer(_exception_text), structlog.processors.JSONRenderer(_as_json)]


def _write_exception(file: TextIO, exception: ExcInfo) -> None:
    file.write("\n" + _exception_text(exception))


def _exception_text(exc_info: ExcInfo) -> str:
    """The traceback as Python writes it, without what is in the middle of long lines, and of all if it is long."""
    lines = "".join(format_exception(*exc_info)).rstrip("\n").split("\n")
    return _cut("\n".join(_cut(line, LONGEST_EXCEPTION_LINE) for line in lines), LONGEST_EXCEPTION)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters left out … {text[-half:]}"


def _as_json(event: EventDict, **_options: Any) -> str:
    return ENCODER.encode(event)


def _adopt_standard_logging(level: int, shared: list[Processor], renderer: list[Processor]) -> None:
    handler = standard_logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = standard_logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for library in NOISY_LIBRARIES:
        standard_logging.getLogger(library).setLevel(max(level, standard_logging.WARNING))
