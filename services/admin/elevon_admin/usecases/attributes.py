"""Setting, reading and removing matchable attributes."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.attributes import (
    AttributeScope,
    StoredAttributes,
    check_resource_type,
    check_scope,
    no_attributes,
    replaced,
    resource_type_of,
)
from elevon_admin.domain.execution_config import ConfigDefaults, merged_config
from elevon_admin.ports import AttributeRepository, Clock
from elevon_admin.usecases.attribute_lookup import most_specific
from elevon_admin.usecases.projects import Projects


class Attributes:
    """What is set for projects, domains and workflows; `defaults` is what counts where nothing is."""

    def __init__(
        self, repository: AttributeRepository, projects: Projects, defaults: ConfigDefaults, clock: Clock
    ) -> None:
        self._repository = repository
        self._projects = projects
        self._defaults = defaults
        self._clock = clock

    async def update_project(self, request: admin.ProjectAttributesUpdateRequest) -> None:
        """Set something for a project; raises InvalidArgument."""
        given = request.attributes
        _check_present(request)
        check_scope(AttributeScope(given.project))
        await self._projects.check_active(given.project)
        await self._put(AttributeScope(given.project), given.matching_attributes)

    async def update_project_domain(self, request: admin.ProjectDomainAttributesUpdateRequest) -> None:
        """Set something for a domain of a project; raises InvalidArgument."""
        given = request.attributes
        _check_present(request)
        await self._check_place(given)
        await self._put(AttributeScope(given.project, given.domain), given.matching_attributes)

    async def update_workflow(self, request: admin.WorkflowAttributesUpdateRequest) -> None:
        """Set something for a workflow, which need not exist; raises InvalidArgument."""
        given = request.attributes
        _check_present(request)
        await self._check_workflow(given)
        await self._put(AttributeScope(given.project, given.domain, given.workflow), given.matching_attributes)

    async def of_project(self, request: admin.ProjectAttributesGetRequest) -> admin.ProjectAttributes:
        """A project's own setting; execution settings are completed by the defaults and always found.

        Raises InvalidArgument and NotFound.
        """
        check_resource_type(request.resource_type)
        check_scope(AttributeScope(request.project))
        await self._projects.check_exists(request.project)
        scope = AttributeScope(request.project)
        stored = await self._find(scope, request.resource_type)
        own = admin.MatchingAttributes()
        if stored is not None and stored.scope == scope:
            own.CopyFrom(stored.attributes)
        elif request.resource_type != admin.WORKFLOW_EXECUTION_CONFIG:
            raise no_attributes(scope, request.resource_type)
        if request.resource_type == admin.WORKFLOW_EXECUTION_CONFIG:
            completed = merged_config(own.workflow_execution_config, self._defaults)
            own.workflow_execution_config.CopyFrom(completed)
        return admin.ProjectAttributes(project=request.project, matching_attributes=own)

    async def of_project_domain(
        self, request: admin.ProjectDomainAttributesGetRequest
    ) -> admin.ProjectDomainAttributes:
        """The setting that counts in a domain, wherever it is set; raises InvalidArgument and NotFound."""
        check_resource_type(request.resource_type)
        await self._check_place(request)
        stored = await self._get(AttributeScope(request.project, request.domain), request.resource_type)
        place = stored.scope
        return admin.ProjectDomainAttributes(
            project=place.project, domain=place.domain, matching_attributes=stored.attributes
        )

    async def of_workflow(self, request: admin.WorkflowAttributesGetRequest) -> admin.WorkflowAttributes:
        """The setting that counts for a workflow, wherever it is set; raises InvalidArgument and NotFound."""
        check_resource_type(request.resource_type)
        await self._check_workflow(request)
        scope = AttributeScope(request.project, request.domain, request.workflow)
        stored = await self._get(scope, request.resource_type)
        place = stored.scope
        return admin.WorkflowAttributes(
            project=place.project,
            domain=place.domain,
            workflow=place.workflow,
            matching_attributes=stored.attributes,
        )

    async def delete_of_project(self, request: admin.ProjectAttributesDeleteRequest) -> None:
        """Remove a project's own setting and no other; fine when there is none. Raises InvalidArgument."""
        check_resource_type(request.resource_type)
        check_scope(AttributeScope(request.project))
        await self._projects.check_active(request.project)
        await self._repository.delete(AttributeScope(request.project), request.resource_type)

    async def delete_of_project_domain(self, request: admin.ProjectDomainAttributesDeleteRequest) -> None:
        """Remove a domain's own setting and no other; fine when there is none. Raises InvalidArgument."""
        check_resource_type(request.resource_type)
        await self._check_place(request)
        await self._repository.delete(AttributeScope(request.project, request.domain), request.resource_type)

    async def delete_of_workflow(self, request: admin.WorkflowAttributesDeleteRequest) -> None:
        """Remove a workflow's own setting and no other; fine when there is none. Raises InvalidArgument."""
        check_resource_type(request.resource_type)
        await self._check_workflow(request)
        scope = AttributeScope(request.project, request.domain, request.workflow)
        await self._repository.delete(scope, request.resource_type)

    async def list(self, request: admin.ListMatchableAttributesRequest) -> admin.ListMatchableAttributesResponse:
        """All settings of a kind, the most specific first; raises InvalidArgument."""
        check_resource_type(request.resource_type)
        found = await self._repository.of_type(request.resource_type)
        return admin.ListMatchableAttributesResponse(configurations=[stored.configuration() for stored in found])

    async def _put(self, scope: AttributeScope, given: admin.MatchingAttributes) -> None:
        resource_type = resource_type_of(given, scope)
        await self._repository.put(scope, resource_type, lambda present: replaced(present, given), self._clock())

    async def _get(self, scope: AttributeScope, resource_type: int) -> StoredAttributes:
        stored = await self._find(scope, resource_type)
        if stored is None:
            raise no_attributes(scope, resource_type)
        return stored

    async def _find(self, scope: AttributeScope, resource_type: int) -> StoredAttributes | None:
        """Read from the database: who has just changed something through another replica sees it."""
        found = await self._repository.of_project(scope.project)
        settings = {(each.resource_type, each.scope): each for each in found}
        return most_specific(settings, scope, admin.MatchableResource.ValueType(resource_type))

    async def _check_place(self, place: _Place) -> None:
        if not place.project:
            raise InvalidArgument.missing("project")
        if not place.domain:
            raise InvalidArgument.missing("domain")
        check_scope(AttributeScope(place.project, place.domain))
        await self._projects.check(place.project, place.domain)

    async def _check_workflow(self, place: _WorkflowPlace) -> None:
        await self._check_place(place)
        if not place.workflow:
            raise InvalidArgument.missing("workflow")
        check_scope(AttributeScope(place.project, place.domain, place.workflow))


_WorkflowPlace = admin.WorkflowAttributes | admin.WorkflowAttributesGetRequest | admin.WorkflowAttributesDeleteRequest
_Place = (
    _WorkflowPlace
    | admin.ProjectDomainAttributes
    | admin.ProjectDomainAttributesGetRequest
    | admin.ProjectDomainAttributesDeleteRequest
)
_Update = (
    admin.ProjectAttributesUpdateRequest
    | admin.ProjectDomainAttributesUpdateRequest
    | admin.WorkflowAttributesUpdateRequest
)


def _check_present(request: _Update) -> None:
    if not request.HasField("attributes"):
        raise InvalidArgument.missing("attributes")
    if not request.attributes.HasField("matching_attributes"):
        raise InvalidArgument.missing("matching_attributes")
