"""Calls of AdminService about where time went."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin

from elevon_admin.usecases.metrics import ExecutionMetrics


class MetricsRpcs:
    """Decodes, calls, encodes."""

    metrics: ExecutionMetrics

    async def GetExecutionMetrics(
        self, request: admin.WorkflowExecutionGetMetricsRequest, context: object
    ) -> admin.WorkflowExecutionGetMetricsResponse:
        """Answer the spans of an execution."""
        return await self.metrics.get(request)
