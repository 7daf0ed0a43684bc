"""Creating executions: of launch plans, of single tasks, and again from earlier executions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from elevon_core import places
from elevon_core.errors import FailedPrecondition, InvalidArgument, NotFound
from elevon_core.identifiers import (
    validate_execution_identifier,
    validate_execution_name,
    validate_node_execution_identifier,
    validate_part,
)
from elevon_core.inputs import merge_inputs, validate_literal_map
from elevon_core.naming import random_execution_name
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit import telemetry
from elevon_kit.blobs import BlobNotFound
from google.protobuf.message import DecodeError

from elevon_admin.domain.attributes import assigned_pool
from elevon_admin.domain.concurrency import PlanName, concurrency_limit, forget_waiting
from elevon_admin.domain.entities import LaunchParts
from elevon_admin.domain.execution_config import ConfigDefaults, ExecutionConfig, resolve
from elevon_admin.domain.execution_rules import check_spec
from elevon_admin.domain.executions import ExecutionLiterals, LaunchSituation, NewExecution
from elevon_admin.domain.new_executions import (
    LaunchRequest,
    execution_tags,
    new_closure,
    options,
    stored_spec,
)
from elevon_admin.domain.records import ExecutionKey, NodeKey, StoredLiterals
from elevon_admin.domain.times import day_of
from elevon_admin.execution_ports import (
    ActiveProjects,
    AttributeSource,
    ExecutionRepository,
    LaunchAttributes,
    LaunchSource,
    Outbox,
)
from elevon_admin.ports import Clock
from elevon_admin.usecases.closures import Closures
from elevon_admin.usecases.execution_measurements import ExecutionMeasurements
from elevon_admin.usecases.literals import LiteralStore


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """What the installation says about every execution."""

    defaults: ConfigDefaults = field(default_factory=ConfigDefaults)
    namespace_template: str = "{{ project }}-{{ domain }}"
    console_url: str = ""
    most_labels: int = 16


class Launch:
    """Creates executions; each is handed to the engine through the outbox.

    `waits` is told of each that first waits for a place of its launch plan.
    """

    def __init__(
        self,
        source: LaunchSource,
        projects: ActiveProjects,
        attributes: AttributeSource,
        executions: ExecutionRepository,
        closures: Closures,
        literals: LiteralStore,
        outbox: Outbox,
        settings: LaunchSettings,
        clock: Clock,
        measurements: ExecutionMeasurements,
        waits: Callable[[ExecutionKey, PlanName], None],
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._source = source
        self._projects = projects
        self._attributes = attributes
        self._executions = executions
        self._closures = closures
        self._literals = literals
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._measurements = measurements
        self._waits = waits
        self._randomness = randomness

    async def create(self, request: admin.ExecutionCreateRequest, principal: str = "") -> ExecutionKey:
        """Create an execution; `principal` is the authenticated user.

        Raises InvalidArgument, NotFound for what is to be launched, AlreadyExists for a name that is taken.
        """
        inputs = request.inputs if request.inputs.literals else request.spec.inputs
        spec = request.spec if request.HasField("spec") else None
        return await self._launch(LaunchRequest(request.project, request.domain, request.name, spec, inputs, principal))

    async def relaunch(self, request: admin.ExecutionRelaunchRequest, principal: str = "") -> ExecutionKey:
        """Create an execution with the inputs and settings of an earlier one; raises as `create` does."""
        validate_execution_identifier(request.id)
        again = await self._again(ExecutionKey.of(request.id), request.name, principal)
        assert again.spec is not None
        again.spec.metadata.mode = admin.ExecutionMetadata.RELAUNCH
        again.spec.overwrite_cache = request.overwrite_cache
        return await self._launch(again)

    async def recover(self, request: admin.ExecutionRecoverRequest, principal: str = "") -> ExecutionKey:
        """As `relaunch`; nodes that succeeded in the earlier execution are not run again."""
        validate_execution_identifier(request.id)
        again = await self._again(ExecutionKey.of(request.id), request.name, principal)
        assert again.spec is not None
        again.spec.metadata.mode = admin.ExecutionMetadata.RECOVERED
        if request.HasField("metadata"):
            again.spec.metadata.ClearField("parent_node_execution")
            if request.metadata.HasField("parent_node_execution"):
                again.spec.metadata.parent_node_execution.CopyFrom(request.metadata.parent_node_execution)
        again.recovers = True
        return await self._launch(again)

    async def _again(self, key: ExecutionKey, name: str, principal: str) -> LaunchRequest:
        earlier = await self._executions.get(key)
        literals = await self._executions.literals(key)
        if earlier is None or literals is None:
            raise NotFound(f"missing entity of type execution with identifier {key}")
        spec = admin.ExecutionSpec()
        spec.CopyFrom(earlier.spec)
        forget_waiting(spec.annotations.values)
        spec.metadata.reference_execution.CopyFrom(key.identifier())
        inputs = await self._inputs_of(key, literals)
        return LaunchRequest(
            key.project, key.domain, name, spec, inputs, principal, source=key, source_row=earlier.row_id
        )

    async def _inputs_of(self, key: ExecutionKey, literals: ExecutionLiterals) -> core.LiteralMap:
        """What an earlier execution was given. Raises FailedPrecondition when it is gone."""
        if literals.data_deleted_at is not None:
            raise FailedPrecondition(
                f"the data of execution {key} was deleted on {day_of(literals.data_deleted_at)} by retention: "
                "its inputs are not known any more, create a new execution"
            )
        if literals.doomed_at is not None:
            raise FailedPrecondition(f"execution {key} is being deleted")
        try:
            return await self._literals.read(literals.user_inputs or literals.inputs)
        except (BlobNotFound, DecodeError) as error:
            raise FailedPrecondition(f"the inputs of execution {key} are not readable any more") from error

    async def _launch(self, request: LaunchRequest) -> ExecutionKey:
        spec, project_labels = await self._validated(request)
        parts = await self._parts(spec.launch_plan)
        plan = parts.launch_plan
        inputs = merge_inputs(request.inputs, plan.closure.expected_inputs, plan.spec.fixed_inputs)
        parent = await self._parent(spec)
        name = request.name or random_execution_name(self._randomness(16))
        key = ExecutionKey(request.project, request.domain, name)
        attributes = await self._attributes.for_launch(
            request.project, request.domain, parts.workflow_id, "" if parts.task_row else plan.id.name
        )
        config = self._config(spec, parts, attributes, project_labels, request.principal)
        # What an earlier execution was assigned does not bind a new one.
        asked = (
            "" if request.source is not None and attributes.cluster_pool else spec.cluster_assignment.cluster_pool_name
        )
        pool = assigned_pool(asked, attributes.cluster_pool)
        if pool:
            spec.cluster_assignment.cluster_pool_name = pool
        new = await self._new_execution(key, request, spec, parts, inputs, parent, attributes, config)
        inserted = await self._executions.add(new)
        self._outbox.put(inserted.dispatches)
        if inserted.waits_for is not None:
            self._waits(key, inserted.waits_for)
        self._measurements.launched()
        if telemetry.tracing_enabled():
            telemetry.record_creation_span(
                key.identifier(), started_nanoseconds=new.created_at, ended_nanoseconds=self._clock()
            )
        return key

    async def _validated(self, request: LaunchRequest) -> tuple[admin.ExecutionSpec, Mapping[str, str]]:
        """Apply the rules in their order; answers the spec and the project's labels."""
        validate_part(request.project, "project")
        validate_part(request.domain, "domain")
        if request.name:
            validate_execution_name(request.name)
        project_labels = await self._projects.require_active(request.project, request.domain)
        spec = request.spec
        if spec is None:
            raise InvalidArgument.missing("spec")
        check_spec(spec, self._settings.most_labels)
        validate_literal_map(request.inputs, "inputs")
        return spec, project_labels

    async def _parts(self, target: core.Identifier) -> LaunchParts:
        if target.resource_type == core.TASK:
            return await self._source.task(target)
        return await self._source.launch_plan(target)

    async def _parent(self, spec: admin.ExecutionSpec) -> LaunchSituation | None:
        if not spec.metadata.HasField("parent_node_execution"):
            return None
        identifier = spec.metadata.parent_node_execution
        validate_node_execution_identifier(identifier, "parent_node_execution")
        key = NodeKey.of(identifier)
        parent = await self._executions.parent(key)
        if parent is None:
            raise NotFound(f"missing entity of type node execution with identifier {key}")
        return parent

    def _config(
        self,
        spec: admin.ExecutionSpec,
        parts: LaunchParts,
        attributes: LaunchAttributes,
        project_labels: Mapping[str, str],
        principal: str,
    ) -> ExecutionConfig:
        return resolve(
            spec,
            None if parts.task_row is not None else parts.launch_plan.spec,
            attributes.execution_configs,
            self._settings.defaults,
            project_labels=project_labels,
            identity=principal,
        )

    async def _new_execution(
        self,
        key: ExecutionKey,
        request: LaunchRequest,
        spec: admin.ExecutionSpec,
        parts: LaunchParts,
        inputs: core.LiteralMap,
        parent: LaunchSituation | None,
        attributes: LaunchAttributes,
        config: ExecutionConfig,
    ) -> NewExecution:
        now = self._clock()
        namespace = self._namespace(key)
        kept, user_kept = await self._keep_inputs(key, request.inputs, inputs)
        pointing = places.named_in(inputs.SerializeToString() if kept.data is None else kept.data)
        if request.recovers and request.source is not None:
            pointing.add(places.kept(*request.source))
        message = options(key, request, parts, config, attributes.plugin_overrides, now)
        message.closure_digest = self._closures.digest(parts, attributes, key)
        message.options.console_url = self._settings.console_url
        message.options.traceparent = telemetry.traceparent()
        return NewExecution(
            key=key,
            created_at=now,
            spec=stored_spec(spec, config, request.principal, parent, namespace),
            closure=new_closure(spec, parts, request.principal, now),
            launch_entity="task" if parts.task_row is not None else "launch_plan",
            workflow_row=parts.workflow_row,
            launch_plan_row=parts.launch_plan_row,
            task_row=parts.task_row,
            source_row=parent.execution_row if parent is not None else request.source_row,
            parent_node_row=None if parent is None else parent.node_row,
            user=request.principal if parent is None else parent.user,
            inputs=kept,
            user_inputs=user_kept,
            tags=execution_tags(spec),
            dispatch_payload=message.SerializeToString(),
            limit=None if parts.task_row is not None else concurrency_limit(parts.launch_plan),
            places=frozenset(pointing),
            recovers_row=request.source_row if request.recovers else None,
        )

    async def _keep_inputs(
        self, key: ExecutionKey, given: core.LiteralMap, merged: core.LiteralMap
    ) -> tuple[StoredLiterals, StoredLiterals | None]:
        """The merged inputs, and the user's where they differ; nothing large is written for a name that is taken."""
        data, user_data = merged.SerializeToString(), None
        if len(given.literals) != len(merged.literals):
            user_data = given.SerializeToString()
        if not self._literals.fits_inline(len(data)) and await self._executions.exists(key):
            return StoredLiterals(data=b""), None  # the insert will find the name taken, and say so
        kept = await self._literals.keep(data, key, "inputs")
        if user_data is None:
            return kept, None
        return kept, await self._literals.keep(user_data, key, "user_inputs")

    def _namespace(self, key: ExecutionKey) -> str:
        template = self._settings.namespace_template
        return template.replace("{{ project }}", key.project).replace("{{ domain }}", key.domain)
