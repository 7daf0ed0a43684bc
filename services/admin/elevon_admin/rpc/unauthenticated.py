"""IdentityService and AuthMetadataService of an installation without authentication."""

from __future__ import annotations

from elevon_core.errors import Unimplemented
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import auth_metadata_service_pb2, identity_service_pb2

IDENTITY_SERVICE = identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"].full_name
AUTH_METADATA_SERVICE = auth_metadata_service_pb2.DESCRIPTOR.services_by_name["AuthMetadataService"].full_name


class IdentityServicer:
    """Nobody is known."""

    async def UserInfo(self, request: admin.UserInfoRequest, context: object) -> admin.UserInfoResponse:
        """Refuse: clients take this answer for an installation that asks nobody who they are."""
        raise _off("there are no users")


class AuthMetadataServicer:
    """Nothing has to be known to call this installation."""

    async def GetOAuth2Metadata(
        self, request: admin.OAuth2MetadataRequest, context: object
    ) -> admin.OAuth2MetadataResponse:
        """Refuse: there is no authorization server."""
        raise _off("there is no authorization server")

    async def GetPublicClientConfig(
        self, request: admin.PublicClientAuthConfigRequest, context: object
    ) -> admin.PublicClientAuthConfigResponse:
        """Refuse: there is nothing a client would have to be configured with."""
        raise _off("clients need no credentials")


def _off(consequence: str) -> Unimplemented:
    return Unimplemented(f"authentication is off in this installation: {consequence}")
