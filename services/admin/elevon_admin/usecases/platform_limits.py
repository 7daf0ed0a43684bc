"""What tasks may ask for when the settings alone decide."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin

from elevon_admin.settings import ResourceSettings


class SettledLimits:
    """The PlatformLimits of the settings: the same for every project and domain."""

    def __init__(self, limits: ResourceSettings) -> None:
        self._limits = admin.TaskResourceSpec(
            cpu=limits.cpu, memory=limits.memory, gpu=limits.gpu, ephemeral_storage=limits.ephemeral_storage
        )

    async def task_resource_limits(self, project: str, domain: str) -> admin.TaskResourceSpec:
        """See PlatformLimits."""
        return self._limits
