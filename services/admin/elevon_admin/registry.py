"""Putting the registry together: repositories, use cases, settings."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database

from elevon_admin.domain.execution_config import ConfigDefaults
from elevon_admin.domain.task_rules import Scope, Whitelist
from elevon_admin.ports import Clock
from elevon_admin.settings import AdminSettings, ResourceSettings, SeedProject
from elevon_admin.store.active_projects import RememberedProjects
from elevon_admin.store.attributes import SqlAttributes
from elevon_admin.store.descriptions import SqlDescriptions
from elevon_admin.store.launch_plans import SqlLaunchPlans
from elevon_admin.store.names import SqlNames
from elevon_admin.store.projects import SqlProjects
from elevon_admin.store.tasks import SqlTasks
from elevon_admin.store.workflows import SqlWorkflows
from elevon_admin.usecases.attribute_lookup import AttributeLookup, RememberedAttributes
from elevon_admin.usecases.attributes import Attributes
from elevon_admin.usecases.descriptions import Descriptions
from elevon_admin.usecases.launch_plans import LaunchPlans
from elevon_admin.usecases.named_entities import NamedEntities
from elevon_admin.usecases.projects import Projects
from elevon_admin.usecases.registry_reads import RegistryReads
from elevon_admin.usecases.single_tasks import SingleTasks
from elevon_admin.usecases.tasks import Tasks
from elevon_admin.usecases.workflows import Workflows


@dataclass(frozen=True, slots=True)
class Registry:
    """The use cases of the registry, and the reads and skeletons that launching needs."""

    reads: RegistryReads
    single_tasks: SingleTasks
    projects: Projects
    project_repository: RememberedProjects
    tasks: Tasks
    workflows: Workflows
    launch_plans: LaunchPlans
    named_entities: NamedEntities
    descriptions: Descriptions
    attributes: Attributes
    attribute_lookup: AttributeLookup


def build_registry(settings: AdminSettings, database: Database, clock: Clock) -> Registry:
    """The registry on a database."""
    tasks, workflows, launch_plans = SqlTasks(database), SqlWorkflows(database), SqlLaunchPlans(database)
    rules = settings.registration
    domains = {domain.id: domain.name or domain.id for domain in settings.domains}
    reads = RegistryReads(tasks, workflows, launch_plans, settings.cache.entity_bytes)
    project_repository = RememberedProjects(SqlProjects(database), clock)
    projects = Projects(project_repository, domains, rules.max_label_entries, clock)
    remembered = RememberedAttributes(SqlAttributes(database), clock)
    attributes = AttributeLookup(remembered, resource_spec(settings.task_resources.limits))
    return Registry(
        reads=reads,
        single_tasks=SingleTasks(reads, workflows, launch_plans, clock),
        projects=projects,
        project_repository=project_repository,
        tasks=Tasks(tasks, reads, projects, attributes, _whitelist(settings), clock),
        workflows=Workflows(workflows, reads, projects, rules, clock),
        launch_plans=LaunchPlans(launch_plans, reads, projects, rules.max_label_entries, clock),
        named_entities=NamedEntities(SqlNames(database), clock),
        descriptions=Descriptions(SqlDescriptions(database)),
        attributes=Attributes(remembered, projects, config_defaults(settings), clock),
        attribute_lookup=attributes,
    )


def config_defaults(settings: AdminSettings) -> ConfigDefaults:
    """What counts for executions where nobody says anything."""
    given = settings.executions
    return ConfigDefaults(
        max_parallelism=given.max_parallelism,
        interruptible=given.interruptible,
        overwrite_cache=given.overwrite_cache,
        raw_output_prefix=given.raw_output_prefix,
        iam_role=given.iam_role,
        service_account=given.service_account,
        labels=given.labels,
        annotations=given.annotations,
        environment=given.environment,
        maximum_labels=given.max_label_entries,
        maximum_annotations=given.max_annotation_entries,
    )


def resource_spec(given: ResourceSettings) -> admin.TaskResourceSpec:
    """Quantities of the settings as a message."""
    return admin.TaskResourceSpec(
        cpu=given.cpu, memory=given.memory, gpu=given.gpu, ephemeral_storage=given.ephemeral_storage
    )


async def seed(registry: Registry, settings: AdminSettings) -> None:
    """Add the projects of the settings that do not exist yet."""
    await registry.projects.seed([_project(project) for project in settings.projects])


def _project(seeded: SeedProject) -> admin.Project:
    return admin.Project(id=seeded.id, name=seeded.name or seeded.id, description=seeded.description)


def _whitelist(settings: AdminSettings) -> Whitelist:
    return {
        task_type: [Scope(scope.project, scope.domain) for scope in scopes]
        for task_type, scopes in settings.registration.task_type_whitelist.items()
    }
