"""The version call of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin


class VersionRpcs:
    """Answers which version is running."""

    version: admin.Version

    async def GetVersion(self, request: admin.GetVersionRequest, context: object) -> admin.GetVersionResponse:
        """Answer version and build."""
        return admin.GetVersionResponse(control_plane_version=self.version)
