"""Registering and reading workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from elevon_core.compiler import LaunchPlanInterface, compile_workflow, requirements
from elevon_core.errors import AlreadyExists, CompilationError, ElevonError, Finding, InvalidArgument
from elevon_core.identifiers import validate_identifier
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.digests import digests, request_digest
from elevon_admin.domain.entities import (
    Digests,
    EntityKey,
    Kind,
    NewEntity,
    Standing,
    StoredLaunchPlan,
    StoredTask,
    StoredWorkflow,
    WorkflowSummary,
    check_reference,
)
from elevon_admin.domain.paging import cut
from elevon_admin.domain.stored_text import check_text
from elevon_admin.ports import Clock, WorkflowRepository
from elevon_admin.settings import RegistrationSettings
from elevon_admin.usecases.conflicts import different, identical
from elevon_admin.usecases.listing import resource_listing
from elevon_admin.usecases.projects import Projects
from elevon_admin.usecases.registry_reads import RegistryReads, missing
from elevon_admin.usecases.resource_types import with_type

NODES_COMPILED_IN_PLACE = 50
"""Workflows with more nodes are compiled in a thread, so that other calls go on meanwhile."""
BYTES_COMPILED_IN_PLACE = 16_384
"""Those with more bytes are, too, with the types they refer to: types may take the square of their size to compare."""


class Workflows:
    """The workflows of the registry."""

    def __init__(
        self,
        workflows: WorkflowRepository,
        reads: RegistryReads,
        projects: Projects,
        rules: RegistrationSettings,
        clock: Clock,
    ) -> None:
        self._workflows = workflows
        self._reads = reads
        self._projects = projects
        self._rules = rules
        self._clock = clock

    async def create(self, request: admin.WorkflowCreateRequest) -> None:
        """Register a workflow; a repeated request costs one look-up.

        Raises InvalidArgument for what is wrong, does not compile or differs from what is registered under the id,
        AlreadyExists for a repetition. The request's template gets the request's id.
        """
        validate_identifier(request.id, core.WORKFLOW)
        key = EntityKey.of(request.id)
        standing = await self._workflows.standing(key)
        self._projects.check_state(key.project, standing.project_state, key.domain)
        if not request.spec.HasField("template"):
            raise InvalidArgument.missing("spec")
        request.spec.template.id.CopyFrom(request.id)
        check_text("short_description", request.spec.description.short_description)
        requested = request_digest([request.spec.template, *request.spec.sub_workflows])
        if standing.existing is not None and standing.existing.request == requested:
            raise identical(core.WORKFLOW, key)
        closure = await self._compile(request.spec, key)
        made = digests(requested, closure)
        if standing.existing is not None:
            raise await self._conflict(key, standing, closure, made)
        await self._add(request, key, closure, made)

    async def get(self, identifier: core.Identifier) -> admin.Workflow:
        """The workflow with its compiled closure; raises InvalidArgument and NotFound."""
        validate_identifier(with_type(identifier, core.WORKFLOW), core.WORKFLOW)
        return workflow_message(await self._reads.workflow(EntityKey.of(identifier)))

    async def list(self, request: admin.ResourceListRequest) -> admin.WorkflowList:
        """A page of workflows, with interfaces and without nodes."""
        scope, filters, sort, page = resource_listing(request, "ListWorkflows")
        rows, token = cut(page, await self._workflows.list(scope, filters, sort, page))
        return admin.WorkflowList(workflows=[_summary_message(summary) for summary in rows], token=token)

    async def _compile(self, spec: admin.WorkflowSpec, key: EntityKey) -> core.CompiledWorkflowClosure:
        most = self._rules.max_workflow_nodes
        if most and len(spec.template.nodes) > most:
            raise InvalidArgument(f"workflow [{key}] has {len(spec.template.nodes)} nodes, the limit is {most}")
        try:
            closure = await self._compile_with_references(spec)
        except CompilationError as error:
            raise CompilationError(error.findings, prefix=_prefix(key)) from None
        except InvalidArgument as error:
            raise InvalidArgument(_prefix(key) + error.message) from None
        size, largest = closure.ByteSize(), self._rules.max_closure_bytes
        if largest and size > largest:
            raise InvalidArgument(f"workflow [{key}] compiles to {size} bytes, the limit is {largest}")
        return closure

    async def _compile_with_references(self, spec: admin.WorkflowSpec) -> core.CompiledWorkflowClosure:
        needed = requirements(spec.template, spec.sub_workflows)
        for identifier in needed.tasks:
            check_reference(EntityKey.of(identifier), "reference_id")
        for identifier in needed.launch_plans:
            check_reference(EntityKey.of(identifier), "launchplan_ref")
        task_keys = [EntityKey.of(identifier) for identifier in needed.tasks]
        plan_keys = [EntityKey.of(identifier) for identifier in needed.launch_plans]
        tasks = await self._reads.tasks(task_keys)
        plans = await self._reads.launch_plans(plan_keys)
        findings = [*_absent(core.TASK, task_keys, tasks), *_absent(core.LAUNCH_PLAN, plan_keys, plans)]
        if findings:
            raise CompilationError(findings)
        return await compiled(spec.template, list(spec.sub_workflows), tasks, plans)

    async def _add(
        self, request: admin.WorkflowCreateRequest, key: EntityKey, closure: core.CompiledWorkflowClosure, made: Digests
    ) -> None:
        description = request.spec.description if request.spec.HasField("description") else None
        try:
            self._reads.keep_workflow(
                await self._workflows.add(NewEntity(key, made, self._clock(), description), closure)
            )
        except AlreadyExists:
            raise await self._conflict(key, await self._workflows.standing(key), closure, made) from None

    async def _conflict(
        self, key: EntityKey, standing: Standing, closure: core.CompiledWorkflowClosure, made: Digests
    ) -> ElevonError:
        if standing.existing is not None and standing.existing.structure == made.structure:
            return identical(core.WORKFLOW, key)
        return different(core.WORKFLOW, key, (await self._reads.workflow(key)).closure, closure)


async def compiled(
    template: core.WorkflowTemplate,
    sub_workflows: list[core.WorkflowTemplate],
    tasks: Mapping[EntityKey, StoredTask],
    plans: Mapping[EntityKey, StoredLaunchPlan],
) -> core.CompiledWorkflowClosure:
    """Compile with what the workflow refers to; raises CompilationError."""
    compiled_tasks = {key[:]: task.compiled for key, task in tasks.items()}
    interfaces = {
        key[:]: LaunchPlanInterface(plan.closure.expected_inputs, plan.closure.expected_outputs)
        for key, plan in plans.items()
    }
    nodes = len(template.nodes) + sum(len(each.nodes) for each in sub_workflows)
    size = template.ByteSize() + sum(each.ByteSize() for each in sub_workflows) + _interface_bytes(tasks, plans)
    if nodes <= NODES_COMPILED_IN_PLACE and size <= BYTES_COMPILED_IN_PLACE:
        return compile_workflow(template, sub_workflows, compiled_tasks, interfaces)
    return await asyncio.to_thread(compile_workflow, template, sub_workflows, compiled_tasks, interfaces)


def _interface_bytes(tasks: Mapping[EntityKey, StoredTask], plans: Mapping[EntityKey, StoredLaunchPlan]) -> int:
    of_tasks = sum(task.compiled.template.interface.ByteSize() for task in tasks.values())
    return of_tasks + sum(plan.closure.ByteSize() for plan in plans.values())


def _absent(kind: Kind, wanted: Iterable[EntityKey], found: Mapping[EntityKey, object]) -> list[Finding]:
    code = "TaskReferenceNotFound" if kind == core.TASK else "WorkflowReferenceNotFound"
    return [Finding(code, missing(kind, key).message) for key in wanted if key not in found]


def _prefix(key: EntityKey) -> str:
    return f"failed to compile workflow for [{key}] with err: "


def workflow_message(workflow: StoredWorkflow) -> admin.Workflow:
    """The workflow as clients read it."""
    message = admin.Workflow(id=workflow.key.identifier(core.WORKFLOW), short_description=workflow.short_description)
    message.closure.compiled_workflow.CopyFrom(workflow.closure)
    message.closure.created_at.FromNanoseconds(workflow.created_at)
    return message


def _summary_message(summary: WorkflowSummary) -> admin.Workflow:
    message = admin.Workflow(id=summary.key.identifier(core.WORKFLOW), short_description=summary.short_description)
    message.closure.compiled_workflow.primary.template.interface.CopyFrom(summary.interface)
    message.closure.created_at.FromNanoseconds(summary.created_at)
    return message
