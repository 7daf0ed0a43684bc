"""Who may try again, and when."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_idl.core import v1 as core

from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import NodeState


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether another attempt is due, and the counts that decided."""

    eligible: bool
    current: int
    maximum: int


def verdict(node: NodeState, error: core.ExecutionError, policy: EnginePolicy) -> Verdict:
    """Judge a retryable failure of the present attempt; call before counting it in `system_failures`."""
    if error.kind == core.ExecutionError.SYSTEM:
        current, maximum = node.system_failures, policy.max_system_retries
    else:
        current = node.attempt + 1 - node.system_failures
        maximum = node.plan.retries + 1 if node.plan.retries else policy.default_attempts
    return Verdict(current < maximum, current, maximum)


def exhausted(error: core.ExecutionError, judged: Verdict) -> core.ExecutionError:
    """The error of a node whose budget is spent; its kind is USER whatever the cause."""
    kind = core.ExecutionError.ErrorKind.Name(error.kind)
    final = core.ExecutionError()
    final.CopyFrom(error)
    final.kind = core.ExecutionError.USER
    final.code = f"RetriesExhausted|{error.code}"
    final.message = f"[{judged.current}/{judged.maximum}] currentAttempt done. Last Error: {kind}::{error.message}"
    return final


def backoff(failed_attempts: int, policy: EnginePolicy) -> int:
    """Microseconds to wait before the next attempt, after so many have failed (at least 1)."""
    exponent = min(failed_attempts - 1, 64)
    return int(min(policy.backoff_base * policy.backoff_factor**exponent, policy.backoff_limit))


def interruptible(node: NodeState, override: bool | None, policy: EnginePolicy) -> bool:
    """Whether the present attempt may run where it can be interrupted."""
    wanted = node.plan.interruptible
    if wanted is None:
        wanted = node.scope.graph.interruptible if override is None else override
    threshold = policy.interruptible_threshold
    limit = threshold if threshold > 0 else policy.max_system_retries + 1 - abs(threshold)
    return wanted and node.system_failures < limit
