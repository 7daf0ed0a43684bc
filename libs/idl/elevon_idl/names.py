"""The names the original back end gives to what is served here, so that its clients find it."""

from __future__ import annotations

from google.protobuf import any_pb2
from google.protobuf.message import Message

ORIGINAL_SERVICES = {
    "elevon.admin.v1.AdminService": "flyteidl.service.AdminService",
    "elevon.admin.v1.AuthMetadataService": "flyteidl.service.AuthMetadataService",
    "elevon.admin.v1.DataProxyService": "flyteidl.service.DataProxyService",
    "elevon.admin.v1.IdentityService": "flyteidl.service.IdentityService",
    "elevon.admin.v1.SignalService": "flyteidl.service.SignalService",
    "elevon.cacheservice.v1.CacheService": "flyteidl.cacheservice.CacheService",
    "elevon.catalog.v1.DataCatalog": "datacatalog.DataCatalog",
    "elevon.connector.external.v1.ExternalPluginService": "flyteidl.service.ExternalPluginService",
    "elevon.connector.v1.AgentMetadataService": "flyteidl.service.AgentMetadataService",
    "elevon.connector.v1.AsyncAgentService": "flyteidl.service.AsyncAgentService",
    "elevon.connector.v1.SyncAgentService": "flyteidl.service.SyncAgentService",
}
"""Our full service name to the original one; services that are Elevon's own are not listed."""

ORIGINAL_PACKAGES = {
    "elevon.admin.v1": "flyteidl.admin",
    "elevon.cacheservice.v1": "flyteidl.cacheservice",
    "elevon.catalog.v1": "datacatalog",
    "elevon.connector.external.v1": "flyteidl.service",
    "elevon.connector.v1": "flyteidl.admin",
    "elevon.core.v1": "flyteidl.core",
    "elevon.event.v1": "flyteidl.event",
    "elevon.plugins.v1": "flyteidl.plugins",
    "elevon.plugins.kubeflow.v1": "flyteidl.plugins.kubeflow",
}
"""Our package to the one whose messages clients expect inside an Any."""


def pack_detail(message: Message) -> any_pb2.Any:
    """Pack an error detail under the type URL that existing clients look for."""
    package = message.DESCRIPTOR.file.package
    local_name = message.DESCRIPTOR.full_name.removeprefix(package + ".")
    original = ORIGINAL_PACKAGES.get(package, package)
    return any_pb2.Any(type_url=f"type.googleapis.com/{original}.{local_name}", value=message.SerializeToString())
