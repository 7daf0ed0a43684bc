"""AdminService: the calls of all families in one servicer."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_idl.admin import v1 as admin

from elevon_admin.rpc.attributes import AttributeRpcs
from elevon_admin.rpc.descriptions import DescriptionRpcs
from elevon_admin.rpc.events import EventRpcs
from elevon_admin.rpc.executions import ExecutionRpcs
from elevon_admin.rpc.launch_plans import LaunchPlanRpcs
from elevon_admin.rpc.metrics import MetricsRpcs
from elevon_admin.rpc.named_entities import NamedEntityRpcs
from elevon_admin.rpc.node_executions import NodeExecutionRpcs
from elevon_admin.rpc.projects import ProjectRpcs
from elevon_admin.rpc.task_executions import TaskExecutionRpcs
from elevon_admin.rpc.tasks import TaskRpcs
from elevon_admin.rpc.version import VersionRpcs
from elevon_admin.rpc.workflows import WorkflowRpcs
from elevon_admin.usecases.attributes import Attributes
from elevon_admin.usecases.descriptions import Descriptions
from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.launch import Launch
from elevon_admin.usecases.launch_plans import LaunchPlans
from elevon_admin.usecases.metrics import ExecutionMetrics
from elevon_admin.usecases.named_entities import NamedEntities
from elevon_admin.usecases.projects import Projects
from elevon_admin.usecases.record_events import RecordEvents
from elevon_admin.usecases.tasks import Tasks
from elevon_admin.usecases.terminate import Terminate
from elevon_admin.usecases.workflows import Workflows


@dataclass(slots=True)
class AdminService(
    TaskRpcs,
    WorkflowRpcs,
    LaunchPlanRpcs,
    ProjectRpcs,
    NamedEntityRpcs,
    DescriptionRpcs,
    VersionRpcs,
    ExecutionRpcs,
    NodeExecutionRpcs,
    TaskExecutionRpcs,
    EventRpcs,
    AttributeRpcs,
    MetricsRpcs,
):
    """The servicer; what it does not define, the server answers with UNIMPLEMENTED."""

    tasks: Tasks
    workflows: Workflows
    launch_plans: LaunchPlans
    projects: Projects
    named_entities: NamedEntities
    descriptions: Descriptions
    version: admin.Version
    launch: Launch
    terminate: Terminate
    execution_queries: ExecutionQueries
    execution_data: ExecutionData
    record_events: RecordEvents
    attributes: Attributes
    metrics: ExecutionMetrics
