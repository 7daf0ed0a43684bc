"""The engine's numbers: what an operator may tune, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

MICROSECONDS = 1_000_000
"""Every time in the engine is a whole number of microseconds: points since 1970 in UTC, or lengths."""


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """How executions are run; lengths of time in microseconds, sizes in bytes.

    `default_attempts` counts attempts of a node that asks for no retries. `interruptible_threshold` is how many system
    failures attempts stay on interruptible machines for; 0 and less count from the end of the budget. Without `caches`
    no task is looked up. Literal maps of at most `inline_limit` stay in rows and events; larger ones go to files. A
    launched execution is looked at after `child_first_look`, then after ever longer pauses up to `child_longest_pause`,
    in case its end was not heard of.

    Lists that an array yields go to files of their own from `offload_from` on, None for never.
    Outputs of an array's element stay in rows up to `element_inline_limit`. `array_parallelism` says what bounds arrays
    that set no parallelism: nothing (`unlimited`), max_parallelism (`workflow`), or `hybrid`, which is the latter
    unless the array says 0. At most `array_live_elements` of one array are under way at a time, 0 for any number. News
    of elements are gathered for `array_event_pause`. A plugin that raises when it is to stop an attempt is asked again
    `stop_tries` times, and for ever while what it needs is away. At most `begins_per_step` nodes begin in one step,
    and as many elements, so that news of the first and other executions need not wait for the last.
    """

    producer_id: str = "propeller"
    metadata_root: str = "file:///tmp/elevon/metadata/propeller"
    raw_output_prefix: str = "file:///tmp/elevon/raw"
    max_system_retries: int = 3
    default_attempts: int = 1
    backoff_base: int = MICROSECONDS // 10
    backoff_factor: float = 2.0
    backoff_limit: int = 60 * MICROSECONDS
    interruptible_threshold: int = -1
    inline_limit: int = 64 * 1024
    element_inline_limit: int = 1024
    array_parallelism: str = "unlimited"
    array_live_elements: int = 10_000
    array_event_pause: int = MICROSECONDS // 10
    offload_from: int | None = None
    caches: bool = True
    cache_wait: int = 2 * MICROSECONDS
    reservation_heartbeat: int = 10 * MICROSECONDS
    child_first_look: int = 2 * MICROSECONDS
    child_longest_pause: int = 30 * MICROSECONDS
    stop_tries: int = 10
    begins_per_step: int = 250
