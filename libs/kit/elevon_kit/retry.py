"""How atomic operations (a blob read, an RPC, a commit) are repeated before anything becomes a failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from elevon_core.errors import ElevonError, ErrorKind
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from elevon_kit.logging import get_logger

log = get_logger("retry")

T = TypeVar("T")
TRANSIENT = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.DEADLINE_EXCEEDED})


def is_transient(error: BaseException) -> bool:
    """Tell whether the same operation may succeed later."""
    return isinstance(error, ElevonError) and error.kind in TRANSIENT


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter, capped: the pauses are about 50, 100, 200 … ms, never over `longest` seconds."""

    attempts: int = 5
    first: float = 0.05
    longest: float = 2.0

    async def run(
        self,
        operation: Callable[[], Awaitable[T]],
        *,
        retryable: Callable[[BaseException], bool] = is_transient,
        what: str = "operation",
    ) -> T:
        """Run an idempotent operation until it succeeds, fails for good, or the attempts are used up.

        The last error is raised as it is. What succeeds at once costs next to nothing: the machinery of repeating is
        set up only after a failure.
        """
        failures: list[Exception] = []
        try:
            return await operation()
        except Exception as error:
            failures.append(error)
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential_jitter(initial=self.first, max=self.longest, jitter=self.first),
            retry=retry_if_exception(retryable),
            before_sleep=lambda state: _tell(what, state),
            reraise=True,
        )

        async def attempt() -> T:
            if failures:
                raise failures.pop()  # the failure above is the first attempt's
            return await operation()

        return await retrying(attempt)


ATOMIC = RetryPolicy()
"""The policy that everything uses unless it has a reason not to."""


def _tell(what: str, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.info("retry", what=what, attempt=state.attempt_number, error=str(error))
