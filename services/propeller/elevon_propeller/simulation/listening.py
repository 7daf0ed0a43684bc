"""Hears what the runtime logs as errors while a seed is played: an error that no outage explains is a defect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from elevon_kit.retry import is_transient
from structlog.typing import EventDict, WrappedLogger

_ERROR = 40
_JUDGED_ELSEWHERE = frozenset({"execution parked"})


@contextmanager
def listening(heard: Callable[[str], None]) -> Iterator[None]:
    """Swallow logs; `heard` gets the errors."""
    before = structlog.get_config()

    def judge(_: WrappedLogger, __: str, entry: EventDict) -> Any:
        error = entry.get("exc_info")
        if entry["event"] not in _JUDGED_ELSEWHERE and not (isinstance(error, Exception) and is_transient(error)):
            heard(f"{entry.pop('event')}: {type(error).__name__}: {error}, {entry}")
        raise structlog.DropEvent

    structlog.configure(
        processors=[judge],
        wrapper_class=structlog.make_filtering_bound_logger(_ERROR),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
