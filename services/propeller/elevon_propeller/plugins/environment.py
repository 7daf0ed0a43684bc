"""The variables every task finds in its environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from elevon_idl.core import v1 as core

from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.plugins.settings import LiteralOffloadingSettings


def task_environment(
    attempt: Attempt,
    container: Iterable[core.KeyValuePair] = (),
    *,
    defaults: Mapping[str, str] | None = None,
    offloading: LiteralOffloadingSettings | None = None,
) -> dict[str, str]:
    """All variables of an attempt; where two sources name one, the later wins.

    The order is: the container's own, the contract's, the execution's, the `defaults` of the installation.
    """
    environment = {pair.key: pair.value for pair in container}
    environment.update(_execution(attempt))
    environment.update(_task(attempt.task.id))
    if offloading is not None:
        environment["_F_L_MIN_SIZE_MB"] = str(offloading.minimum_mib)
        environment["_F_L_MAX_SIZE_MB"] = str(offloading.maximum_mib)
    if attempt.traceparent:
        environment["TRACEPARENT"] = attempt.traceparent
    environment.update(attempt.environment)
    environment.update(defaults or {})
    return environment


def execution_url(attempt: Attempt) -> str:
    """Where the console shows the node of an attempt; empty without a console."""
    if not attempt.console_url:
        return ""
    execution = attempt.execution_id
    return (
        f"{attempt.console_url.rstrip('/')}/projects/{execution.project}/domains/{execution.domain}"
        f"/executions/{execution.name}/nodeId/{attempt.node_id}/nodes"
    )


def _execution(attempt: Attempt) -> dict[str, str]:
    execution = attempt.execution_id
    values = {
        "FLYTE_INTERNAL_EXECUTION_WORKFLOW": f"{execution.project}:{execution.domain}:{attempt.workflow_name}",
        "FLYTE_INTERNAL_EXECUTION_ID": execution.name,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": execution.project,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": execution.domain,
        "FLYTE_ATTEMPT_NUMBER": str(attempt.number),
    }
    url = execution_url(attempt)
    if url and "link_type" in attempt.task.config:
        values["FLYTE_EXECUTION_URL"] = url
    return values


def _task(task: core.Identifier) -> dict[str, str]:
    return {
        "FLYTE_INTERNAL_TASK_PROJECT": task.project,
        "FLYTE_INTERNAL_TASK_DOMAIN": task.domain,
        "FLYTE_INTERNAL_TASK_NAME": task.name,
        "FLYTE_INTERNAL_TASK_VERSION": task.version,
    }
