"""RetentionService."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import retention_service_pb2

from elevon_admin.domain.retention import BY_REQUEST
from elevon_admin.usecases.retention import Retention

RETENTION_SERVICE = retention_service_pb2.DESCRIPTOR.services_by_name["RetentionService"].full_name


class RetentionServicer:
    """Decodes, calls, encodes."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    async def PutRetentionPolicy(
        self, request: admin.PutRetentionPolicyRequest, context: object
    ) -> admin.PutRetentionPolicyResponse:
        """Set a rule."""
        await self._retention.put(request.policy)
        return admin.PutRetentionPolicyResponse()

    async def ListRetentionPolicies(
        self, request: admin.ListRetentionPoliciesRequest, context: object
    ) -> admin.ListRetentionPoliciesResponse:
        """Answer all rules."""
        return admin.ListRetentionPoliciesResponse(policies=await self._retention.policies())

    async def DeleteRetentionPolicy(
        self, request: admin.DeleteRetentionPolicyRequest, context: object
    ) -> admin.DeleteRetentionPolicyResponse:
        """Remove a rule."""
        await self._retention.delete_policy(request.project, request.domain)
        return admin.DeleteRetentionPolicyResponse()

    async def ApplyRetentionPolicy(
        self, request: admin.ApplyRetentionPolicyRequest, context: object
    ) -> AsyncIterator[admin.ApplyRetentionPolicyResponse]:
        """Apply a rule now."""
        run = self._retention.apply(request.project, request.domain, dry_run=request.dry_run, principal=BY_REQUEST)
        async with contextlib.aclosing(run):
            async for progress in run:
                yield progress.message()

    async def DeleteExecution(
        self, request: admin.DeleteExecutionRequest, context: object
    ) -> admin.DeleteExecutionResponse:
        """Delete one execution."""
        return await self._retention.delete_execution(request, BY_REQUEST)

    async def ListRetentionRuns(
        self, request: admin.ListRetentionRunsRequest, context: object
    ) -> admin.ListRetentionRunsResponse:
        """Answer what was deleted."""
        return await self._retention.runs(request)
