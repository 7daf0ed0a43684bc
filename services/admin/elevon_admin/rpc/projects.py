"""Project and domain calls of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin

from elevon_admin.usecases.projects import Projects


class ProjectRpcs:
    """Decodes, calls, encodes."""

    projects: Projects

    async def RegisterProject(
        self, request: admin.ProjectRegisterRequest, context: object
    ) -> admin.ProjectRegisterResponse:
        """Add a project."""
        await self.projects.register(request)
        return admin.ProjectRegisterResponse()

    async def UpdateProject(self, request: admin.Project, context: object) -> admin.ProjectUpdateResponse:
        """Change a project."""
        await self.projects.update(request)
        return admin.ProjectUpdateResponse()

    async def GetProject(self, request: admin.ProjectGetRequest, context: object) -> admin.Project:
        """Answer one project."""
        return await self.projects.get(request.id)

    async def ListProjects(self, request: admin.ProjectListRequest, context: object) -> admin.Projects:
        """Answer a page of projects."""
        return await self.projects.list(request)

    async def GetDomains(self, request: admin.GetDomainRequest, context: object) -> admin.GetDomainsResponse:
        """Answer all domains."""
        return self.projects.domains()
