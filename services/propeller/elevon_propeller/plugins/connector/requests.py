"""What a connector is told of an attempt."""

from __future__ import annotations

import re
from dataclasses import replace

from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core

from elevon_propeller.plugins import templates
from elevon_propeller.plugins.connector.records import JobRecord
from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.plugins.process.preparation import as_local_paths

_NOT_IN_LABELS = re.compile(r"[^-a-z0-9]+")
_LABEL_LIMIT = 63


def create_task(attempt: Attempt) -> connector.CreateTaskRequest:
    """The request that starts a job: the same, to the byte, whenever it is made for this attempt.

    The arguments of a container are rendered; everything else of the task travels as it was registered. Raises
    InvalidArgument for arguments that cannot be rendered.
    """
    local = replace(attempt, paths=as_local_paths(attempt.paths))
    return connector.CreateTaskRequest(
        inputs=attempt.inputs,
        template=_template(local),
        output_prefix=local.paths.output_prefix,
        task_execution_metadata=_metadata(attempt),
    )


def create_header(request: connector.CreateTaskRequest, limit: int) -> connector.CreateRequestHeader:
    """The first part of a synchronous job; `limit` is the most that its outputs may measure, in bytes."""
    return connector.CreateRequestHeader(
        template=request.template,
        output_prefix=request.output_prefix,
        task_execution_metadata=request.task_execution_metadata,
        max_dataset_size_bytes=limit,
    )


def get_task(record: JobRecord) -> connector.GetTaskRequest:
    """The request that looks at a job; the category twice, as older connectors know only the first."""
    category = record.category
    return connector.GetTaskRequest(
        task_type=category.name,
        resource_meta=record.resource_meta,
        task_category=connector.TaskCategory(name=category.name, version=category.version),
        output_prefix=record.output_prefix,
    )


def delete_task(record: JobRecord) -> connector.DeleteTaskRequest:
    """The request that stops a job."""
    category = record.category
    return connector.DeleteTaskRequest(
        task_type=category.name,
        resource_meta=record.resource_meta,
        task_category=connector.TaskCategory(name=category.name, version=category.version),
    )


def needs_inputs_file(task: core.TaskTemplate) -> bool:
    """Whether the job may look for inputs.pb: a program that runs somewhere else, other than the connector itself."""
    return task.WhichOneof("target") in ("container", "k8s_pod")


def needs_task_file(task: core.TaskTemplate) -> bool:
    """Whether the job is told where task.pb lies."""
    return task.WhichOneof("target") == "container" and templates.needs_task_template(task.container.args)


def _template(attempt: Attempt) -> core.TaskTemplate:
    template = core.TaskTemplate()
    template.CopyFrom(attempt.task)
    if template.WhichOneof("target") == "container":
        template.container.args[:] = templates.render_all(attempt.task.container.args, attempt)
    return template


def _metadata(attempt: Attempt) -> connector.TaskExecutionMetadata:
    identity = attempt.security_context.run_as if attempt.security_context is not None else core.Identity()
    told = connector.TaskExecutionMetadata(
        task_execution_id=core.TaskExecutionIdentifier(
            task_id=attempt.task.id,
            node_execution_id=core.NodeExecutionIdentifier(node_id=attempt.node_id, execution_id=attempt.execution_id),
            retry_attempt=attempt.number,
        ),
        namespace=templates.default_namespace(attempt),
        labels=_labels(attempt),
        annotations=dict(attempt.annotations),
        k8s_service_account=identity.k8s_service_account,
        environment_variables=dict(attempt.environment),
        interruptible=attempt.interruptible,
        identity=identity,
    )
    if attempt.overrides is not None:
        told.overrides.CopyFrom(attempt.overrides)
    return told


def _labels(attempt: Attempt) -> dict[str, str]:
    """Where the attempt belongs, and the execution's own labels, which win."""
    known = {
        "execution-id": attempt.execution_id.name,
        "project": attempt.execution_id.project,
        "domain": attempt.execution_id.domain,
        "workflow-name": attempt.workflow_name,
        "node-id": attempt.node_id,
        "task-name": attempt.task.id.name,
        "interruptible": str(attempt.interruptible),
    }
    return {name: as_label(value) for name, value in known.items()} | dict(attempt.labels)


def as_label(value: str) -> str:
    """A text as the value of a label: at most 63 lower-case letters, digits and, for everything else, dashes."""
    return _NOT_IN_LABELS.sub("-", value.lower())[:_LABEL_LIMIT].strip("-")
