"""The workflow that a dynamic task yields: from the job it describes to a compiled closure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from elevon_core import compiler, identifiers
from elevon_core.compiler import LaunchPlanInterface, Requirements
from elevon_idl.core import v1 as core

from elevon_propeller.engine import paths
from elevon_propeller.engine.plan import Key
from elevon_propeller.engine.state import ExecutionState, NodeState

_VERSION_LENGTH = 10
_COMPILED, _FUTURES = "dynamic_compiled.pb", "futures.pb"


def futures_uri(state: ExecutionState, node: NodeState) -> str:
    """Where the present attempt has left its job."""
    return paths.attempt_paths(state, node, node.attempt).futures


def compiled_uri(state: ExecutionState, node: NodeState) -> str:
    """Where the compiled workflow of the present attempt is kept."""
    return f"{paths.output_prefix(state, node, node.attempt)}/{_COMPILED}"


def futures_beside(uri: str) -> str:
    """Where the job of a compiled workflow lies."""
    return uri.removesuffix(_COMPILED) + _FUTURES


def compiled_beside(uri: str) -> str:
    """Where the compiled workflow of a job lies."""
    return uri.removesuffix(_FUTURES) + _COMPILED


def build_template(state: ExecutionState, node: NodeState, spec: core.DynamicJobSpec) -> core.WorkflowTemplate:
    """The job as a workflow without inputs, whose outputs are those of the task.

    Its version is derived from the attempt, so that the same attempt never yields two. Failure policy and
    interruptibility are those of the graph around it.
    """
    assert node.plan.task is not None
    around = node.scope.graph
    policy = (
        core.WorkflowMetadata.FAIL_IMMEDIATELY
        if around.fails_immediately
        else core.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    )
    return core.WorkflowTemplate(
        id=core.Identifier(
            resource_type=core.WORKFLOW,
            project=state.identifier.project,
            domain=state.identifier.domain,
            name=f"dynamic_{node.id}",
            version=_version(paths.generated_name(state, node, node.attempt)),
        ),
        metadata=core.WorkflowMetadata(on_failure=policy),
        interface=core.TypedInterface(inputs=core.VariableMap(), outputs=node.plan.task.template.interface.outputs),
        nodes=spec.nodes,
        outputs=spec.outputs,
        metadata_defaults=core.WorkflowMetadataDefaults(interruptible=around.interruptible),
    )


def missing(spec: core.DynamicJobSpec, template: core.WorkflowTemplate) -> Requirements:
    """What the job refers to and does not bring along."""
    required = compiler.requirements(template, spec.subworkflows)
    brought = {identifiers.key(task.id) for task in spec.tasks}
    tasks = tuple(task for task in required.tasks if identifiers.key(task) not in brought)
    return Requirements(tasks, required.launch_plans)


def compile_job(
    parent: core.TaskTemplate,
    spec: core.DynamicJobSpec,
    template: core.WorkflowTemplate,
    tasks: Mapping[Key, core.CompiledTask],
    launch_plans: Mapping[Key, LaunchPlanInterface],
) -> core.CompiledWorkflowClosure:
    """Compile the job; `tasks` and `launch_plans` are what `missing` named. Raises CompilationError."""
    known = dict(tasks)
    for task in spec.tasks:
        known[identifiers.key(task.id)] = compiler.compile_task(_with_configuration(task, parent))
    return compiler.compile_workflow(template, list(spec.subworkflows), known, launch_plans)


def _with_configuration(task: core.TaskTemplate, parent: core.TaskTemplate) -> core.TaskTemplate:
    """The task with the container configuration of its parent added; its own entries stay."""
    if not task.HasField("container") or not parent.container.config:
        return task
    own = {entry.key for entry in task.container.config}
    changed = core.TaskTemplate()
    changed.CopyFrom(task)
    changed.container.config.extend(entry for entry in parent.container.config if entry.key not in own)
    return changed


def _version(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_VERSION_LENGTH]
